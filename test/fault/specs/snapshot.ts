import { createHash } from 'node:crypto';
import type { TestApi } from '../../apiserver/harness.ts';
import type { Any } from './cluster.ts';

const OURS = '/apis/murmuration.dev/v1alpha1';
/** Kinds that the operator reads or writes, by plural. Events come and go and are no state. */
const OUR_KINDS = ['validatorfleets', 'validatornodes', 'models', 'modelshards'] as const;
const CORE_KINDS = ['pods', 'services', 'secrets', 'persistentvolumeclaims', 'configmaps'] as const;
export type Plural = (typeof OUR_KINDS)[number] | (typeof CORE_KINDS)[number] | 'stakekeyreservations';

/** Everything in one namespace at one moment, and the reservations that name it. */
export class Snapshot {
  readonly #objects: ReadonlyMap<Plural, readonly Any[]>;

  private constructor(objects: ReadonlyMap<Plural, readonly Any[]>) {
    this.#objects = objects;
  }

  static async take(api: TestApi, namespace: string): Promise<Snapshot> {
    const list = async (plural: Plural, path: string): Promise<[Plural, readonly Any[]]> => {
      const { code, body } = await api.call('GET', path);
      if (code !== 200) throw new Error(`GET ${path}: ${code}`);
      return [plural, body.items];
    };
    const lists = await Promise.all([
      ...OUR_KINDS.map((plural) => list(plural, `${OURS}/namespaces/${namespace}/${plural}`)),
      ...CORE_KINDS.map((plural) => list(plural, `/api/v1/namespaces/${namespace}/${plural}`)),
      list('stakekeyreservations', `${OURS}/stakekeyreservations`),
    ]);
    const objects = new Map(lists);
    const mine = objects.get('stakekeyreservations')?.filter(({ spec }) => spec.nodeRef.namespace === namespace);
    return new Snapshot(objects.set('stakekeyreservations', mine ?? []));
  }

  of(plural: Plural): readonly Any[] {
    return this.#objects.get(plural) ?? [];
  }

  get(plural: Plural, name: string): Any {
    return this.of(plural).find(({ metadata }) => metadata.name === name);
  }

  /** What changes with every write. */
  versions(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#objects].flatMap(([plural, objects]) =>
        objects.map(({ metadata }) => [`${plural}/${metadata.name}`, metadata.resourceVersion] as const),
      ),
    );
  }

  /** What a person would call the state: spec, labels, owners. No uids, versions, times, nor what is new by nature. */
  normalised(): ReadonlyMap<string, unknown> {
    const nodes = new Map(this.of('validatornodes').map(({ metadata }) => [metadata.name, metadata]));
    return new Map(
      [...this.#objects].flatMap(([plural, objects]) =>
        objects.map((object) => [nameOf(plural, object), normalised(plural, object, nodes)] as const),
      ),
    );
  }
}

/** A reservation is named by its key, which is another one where the validator is. */
const nameOf = (plural: Plural, { metadata, spec }: Any): string =>
  `${plural}/${plural === 'stakekeyreservations' ? spec.nodeRef.name : metadata.name}`;

function normalised(plural: Plural, object: Any, nodes: ReadonlyMap<string, Any>): unknown {
  const { labels, annotations, ownerReferences = [] } = object.metadata;
  const { nodeName: _, volumeName: __, publicKey: ___, nodeRef: ____, ...spec } = object.spec ?? {};
  return {
    labels,
    owners: ownerReferences.map(({ kind, name }: Any) => `${kind}/${name}`),
    spec,
    // A charter counts on with every change; volumes are annotated by whoever provides them.
    ...(plural === 'configmaps' || plural === 'persistentvolumeclaims' ? {} : { annotations }),
    ...(plural === 'secrets' ? { key: keyOf(object, nodes) } : {}),
  };
}

/** The key's digest, for as long as the validator lives that it was made for. */
function keyOf({ metadata, data }: Any, nodes: ReadonlyMap<string, Any>): unknown {
  const node = nodes.get(metadata.labels?.['murmuration.dev/node']);
  const digest = createHash('sha256')
    .update(JSON.stringify(data ?? {}))
    .digest('hex')
    .slice(0, 12);
  return { of: node?.uid ?? 'nobody', digest };
}

/** Lines that tell the difference, `- before` and `+ after`. Keys are compared only where their validator lives on. */
export function differences(before: Snapshot, after: Snapshot): readonly string[] {
  const [was, is] = [before.normalised(), after.normalised()];
  const lines: string[] = [];
  for (const name of new Set([...was.keys(), ...is.keys()])) {
    const [old, now] = [was.get(name) as Any, is.get(name) as Any];
    if (old === undefined) lines.push(`+ ${name}`);
    else if (now === undefined) lines.push(`- ${name}`);
    else {
      if (old.key !== undefined && old.key.of !== now.key?.of) {
        old.key = undefined;
        now.key = undefined;
      }
      lines.push(...fieldDifferences(old, now, name));
    }
  }
  return lines;
}

function fieldDifferences(old: Any, now: Any, path: string): readonly string[] {
  if (JSON.stringify(old) === JSON.stringify(now)) return [];
  const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null;
  if (!isMap(old) || !isMap(now)) return [`${path}: - ${JSON.stringify(old)} + ${JSON.stringify(now)}`];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((key) =>
    fieldDifferences(old[key], now[key], `${path}.${key}`),
  );
}
