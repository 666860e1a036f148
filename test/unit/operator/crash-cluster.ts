import type { AnyKind, Existing, KubeObject, ObjectKey } from '../../../src/kube/index.ts';
import { controllerOf, deepEqual } from '../../../src/kube/index.ts';
import type { Action } from '../../../src/operator/action.ts';
import type { Change } from '../../fault/crash/history.ts';
import type { Place } from '../../fault/crash/story.ts';
import { Cluster, type Loose, NAMESPACE } from './cluster.ts';

/** The API server has refused a write that was planned on an old version of the object. */
export class Stale extends Error {}

/** The objects of one kind from a revision on, until the next picture. */
interface Picture {
  readonly at: number;
  readonly objects: ReadonlyMap<string, Loose>;
}

/** A cluster that remembers: every change in order, and how each kind looked at each revision. */
export class RecordedCluster extends Cluster {
  readonly changes: Change[] = [];
  readonly #pictures = new Map<string, Picture[]>();

  protected override store(id: string, object: Loose): Loose {
    const before = this.objects.get(id);
    const stored = super.store(id, object);
    if (stored !== before) this.#remember(before === undefined ? 'added' : 'changed', stored);
    return stored;
  }

  protected override remove(id: string): void {
    const before = this.objects.get(id);
    super.remove(id);
    if (before !== undefined) this.#remember('removed', before);
  }

  /** The same cluster, which goes its own way from here. */
  fork(): RecordedCluster {
    const fork = new RecordedCluster();
    fork.copy(this);
    fork.changes.push(...this.changes);
    for (const [kind, pictures] of this.#pictures) fork.#pictures.set(kind, [...pictures]);
    return fork;
  }

  #remember(is: Change['is'], object: Loose): void {
    this.changes.push({ at: this.revision, is, object });
    const { kind } = object;
    const pictures = this.#pictures.get(kind) ?? [];
    pictures.push({
      at: this.revision,
      objects: new Map(this.list(kind).map((one) => [`${kind} ${one.metadata.name}`, one as Loose])),
    });
    this.#pictures.set(kind, pictures);
  }

  /** The cluster as caches show it, each kind as of a revision of its own. */
  asOf(revision: (kind: string) => number): Cluster {
    const seen = new Cluster();
    seen.now = this.now;
    seen.setting = this.setting;
    for (const [kind, pictures] of this.#pictures) {
      const at = revision(kind);
      const picture = pictures.findLast((one) => one.at <= at);
      for (const [id, object] of picture?.objects ?? []) seen.objects.set(id, object);
    }
    return seen;
  }

  /**
   * Does what was planned on what was seen, with the locks that the operator sends along.
   * @throws Stale where the object has changed since
   */
  act(seen: Cluster, action: Action, record: () => void): void {
    if (action.do === 'apply') {
      const id = `${action.object.kind} ${action.object.metadata.name}`;
      const [live, known] = [this.objects.get(id), seen.objects.get(id)];
      if (known !== undefined && live?.metadata.resourceVersion !== known.metadata.resourceVersion) throw new Stale(id);
      const [wanted, present] = [controllerOf(action.object), live === undefined ? undefined : controllerOf(live)];
      if (present !== undefined && present.uid !== wanted?.uid) throw new Stale(`${id} is another's`);
    }
    if (action.do === 'finalizer') {
      const { kind, metadata } = action.object;
      const live = this.objects.get(`${kind} ${metadata.name}`);
      if (live?.metadata.resourceVersion !== metadata.resourceVersion) throw new Stale(metadata.name);
    }
    this.perform(action, record);
  }

  /** @throws Stale where the object has changed since it was seen */
  setStatus(seen: Existing<KubeObject>, status: object): void {
    const id = `${seen.kind} ${seen.metadata.name}`;
    const plain = JSON.parse(JSON.stringify(status));
    if (deepEqual((seen as Loose).status, plain)) return;
    const live = this.objects.get(id);
    if (live?.metadata.resourceVersion !== seen.metadata.resourceVersion) throw new Stale(id);
    this.store(id, { ...live, status: plain } as Loose);
  }

  /** The record of a charter, made or replaced where it is still as it was seen. @throws Stale */
  setRecord(object: KubeObject, seen: KubeObject | undefined): void {
    const live = this.objects.get(`${object.kind} ${object.metadata.name}`);
    if (live?.metadata.resourceVersion !== seen?.metadata.resourceVersion) throw new Stale(object.metadata.name);
    this.put(object);
  }

  /** What was owned by something that is gone goes as well. */
  collectGarbage(): void {
    const alive = new Set([...this.objects.values()].map(({ metadata }) => metadata.uid));
    for (const { kind, metadata } of [...this.objects.values()]) {
      const { ownerReferences = [], name } = metadata;
      if (ownerReferences.length > 0 && !ownerReferences.some(({ uid }) => alive.has(uid))) this.delete(kind, name);
    }
  }

  /** This cluster as a person reaches it. */
  readonly place: Place = {
    namespace: NAMESPACE,
    client: {
      find: async (kind: AnyKind, { name }: ObjectKey) => this.get(kind.kind, name),
      list: async (kind: AnyKind) => ({ items: this.list(kind.kind), resourceVersion: String(this.revision) }),
      apply: async (_: AnyKind, object: KubeObject) => this.put(object),
      patch: async (kind: AnyKind, { name }: ObjectKey, patch: unknown) =>
        this.put(merged(this.get(kind.kind, name), patch) as Loose),
      scale: async (kind: AnyKind, { name }: ObjectKey, replicas: number) =>
        void this.put(merged(this.get(kind.kind, name), { spec: { replicas } }) as Loose),
      delete: async (kind: AnyKind, { name }: ObjectKey) => void this.delete(kind.kind, name),
    } as never,
  };
}

/** RFC 7386, without removals. */
function merged(into: unknown, patch: unknown): unknown {
  if (!isRecord(into) || !isRecord(patch)) return patch;
  return {
    ...into,
    ...Object.fromEntries(Object.entries(patch).map(([field, value]) => [field, merged(into[field], value)])),
  };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
