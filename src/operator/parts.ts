import { PersistentVolumeClaim, type Reconcile, type Stores } from '../kube/index.ts';
import type { Charter } from '../overlay/index.ts';
import type { AuthorityKeeper } from './authority/keeper.ts';
import { canonical } from './digest.ts';
import type { OperatorMetrics } from './metrics.ts';
import { sourcesOf } from './model-sources.ts';
import type { Overlays } from './network/overlays.ts';
import type { FleetView } from './network/view.ts';
import type { PodSetting } from './node/children/pod.ts';
import type { KeyMaker } from './perform.ts';
import { look } from './watched.ts';

/** What the controllers share. */
export interface Parts {
  readonly authority: AuthorityKeeper;
  readonly view: FleetView;
  readonly overlays: Overlays;
  readonly charters: Charters;
  readonly metrics: OperatorMetrics;
  readonly settings: PodSettings;
  readonly keys: KeyMaker;
  /** Unix ms. */
  readonly now: () => number;
}

/** Whom the recorded charters let in, as this process recorded or read them. */
export class Charters {
  readonly #members = new Map<string, ReadonlySet<string>>();

  /** @returns peer ids that were not in before */
  record(network: string, charter: Charter): readonly string[] {
    const before = this.#members.get(network);
    const members = new Set(charter.members.map(({ peerId }) => peerId));
    this.#members.set(network, members);
    return [...members].filter((peer) => !before?.has(peer));
  }

  names(network: string, peerId: string): boolean {
    return this.#members.get(network)?.has(peerId) ?? false;
  }

  forget(network: string): void {
    this.#members.delete(network);
  }

  /** The lead is lost: somebody else records charters now. */
  forgetAll(): void {
    this.#members.clear();
  }
}

/** What pods of a network are made from; equal settings are one object, so that results can be remembered by it. */
export class PodSettings {
  readonly #image: string;
  readonly #authority: () => string | undefined;
  readonly #known = new Map<string, PodSetting>();

  /** @param authority peer id of the authority key, while there is one */
  constructor(image: string, authority: () => string | undefined) {
    this.#image = image;
    this.#authority = authority;
  }

  /** Undefined while there is no authority key. */
  of(stores: Stores, namespace: string, network: string): PodSetting | undefined {
    const authority = this.#authority();
    if (authority === undefined) return undefined;
    const sources = look
      .modelsOf(stores, namespace, network)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .flatMap(sourcesOf)
      .filter(({ configMap, claim }) => configMap !== undefined || claim !== undefined);
    const claims = sources
      .flatMap(({ claim }) => (claim === undefined ? [] : [claim.claimName]))
      .filter((name) => stores.of(PersistentVolumeClaim).get({ namespace, name }) !== undefined);
    const id = canonical([namespace, authority, sources, [...claims].sort()]);
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const setting: PodSetting = { image: this.#image, authority, sources, claims: new Set(claims) };
    if (this.#known.size > 1_000) this.#known.clear();
    this.#known.set(id, setting);
    return setting;
  }
}

/**
 * Runs a reconcile of one key at most once in `ms`: news that come in a crowd are looked at together. The first one is
 * not delayed.
 */
export function paced(ms: number, now: () => number, reconcile: Reconcile): Reconcile {
  const last = new Map<string, number>();
  return async (context) => {
    const key = `${context.key.namespace}/${context.key.name}`;
    const since = now() - (last.get(key) ?? Number.NEGATIVE_INFINITY);
    if (since >= 0 && since < ms) return { requeueAfterMs: ms - since };
    last.delete(key);
    last.set(key, now());
    for (const oldest of last.keys()) {
      if (last.size <= 10_000) break;
      last.delete(oldest);
    }
    return reconcile(context);
  };
}
