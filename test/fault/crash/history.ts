import type { AnyKind, Client, Existing, KubeObject, ObjectKey } from '../../../src/kube/index.ts';
import { StakeKeyReservation } from '../../../src/operator/kinds.ts';
import { NAMESPACED } from '../kinds.ts';

/** What happened to one object. */
export interface Change {
  /** Revision of the whole cluster: one order for the objects of all kinds. */
  readonly at: number;
  readonly is: 'added' | 'changed' | 'removed';
  readonly object: Existing<KubeObject>;
}

/** Kinds that the operator makes or writes. */
const KINDS: readonly AnyKind[] = [...NAMESPACED, StakeKeyReservation];

const WORDS = { ADDED: 'added', MODIFIED: 'changed', DELETED: 'removed' } as const;
/** Longer than any run. */
const WATCH_SECONDS = 7_200;

/**
 * Every change in the whole cluster since it was begun, by watches of its own, and so what there is now. Many may look
 * at it as often as they like, and the API server does not notice.
 */
export class History {
  readonly #changes: Change[] = [];
  /** What there is, by kind and uid. */
  readonly #present = new Map<string, Map<string, Existing<KubeObject>>>();
  readonly #stop = new AbortController();
  readonly #watches: Promise<void>[] = [];
  /** Why the record has a hole, if it has one. */
  broken: string | undefined;

  /** Begins to watch, and resolves once every watch is open. */
  static async begin(client: Client): Promise<History> {
    const history = new History();
    await Promise.all(KINDS.map((kind) => history.#watch(client, kind)));
    return history;
  }

  /** A client whose reads of whole kinds are answered from here; everything else goes to the API server. */
  reader(client: Client): Client {
    const answers = {
      list: async (kind: AnyKind, { namespace }: { namespace?: string } = {}) => ({
        items: this.#of(kind).filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace),
        resourceVersion: '',
      }),
      find: async (kind: AnyKind, { namespace, name }: ObjectKey) =>
        this.#of(kind).find(({ metadata }) => metadata.name === name && (metadata.namespace ?? '') === namespace),
    };
    return new Proxy(client, {
      get: (target, name) => {
        if (name === 'list' || name === 'find') return answers[name];
        const value = target[name as keyof Client] as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  /** @throws TypeError for a kind that is not watched */
  #of(kind: AnyKind): readonly Existing<KubeObject>[] {
    const present = this.#present.get(kind.kind);
    if (present === undefined) throw new TypeError(`${kind.kind} is not watched here`);
    return [...present.values()];
  }

  /** What happened in this namespace, and to stake keys of its validators, in order. */
  of(namespace: string): readonly Change[] {
    const isHere = ({ object }: Change): boolean =>
      object.kind === 'StakeKeyReservation'
        ? (object as StakeKeyReservation).spec.nodeRef.namespace === namespace
        : object.metadata.namespace === namespace;
    return this.#changes.filter(isHere).sort((a, b) => a.at - b.at);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#watches);
  }

  async #watch(client: Client, kind: AnyKind): Promise<void> {
    const { items, resourceVersion } = await client.list(kind);
    const present = new Map(items.map((object) => [object.metadata.uid, object]));
    this.#present.set(kind.kind, present);
    const { signal } = this.#stop;
    const options = { resourceVersion, timeoutSeconds: WATCH_SECONDS, idleMs: WATCH_SECONDS * 1000, signal };
    const stream = await client.watch(kind, options);
    const reading = async (): Promise<void> => {
      for await (const events of stream) {
        for (const { type, object } of events) {
          if (type === 'BOOKMARK') continue;
          if (type === 'ERROR') throw new Error(JSON.stringify(object));
          const existing = object as Existing<KubeObject>;
          if (type === 'DELETED') present.delete(existing.metadata.uid);
          else present.set(existing.metadata.uid, existing);
          this.#changes.push({ at: Number(existing.metadata.resourceVersion), is: WORDS[type], object: existing });
        }
      }
      throw new Error('the server ended it');
    };
    this.#watches.push(
      reading().catch((error: unknown) => {
        if (!signal.aborted) this.broken = `the watch of ${kind.plural} ended: ${error}`;
      }),
    );
  }
}
