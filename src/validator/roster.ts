import type { PartitionSlot } from '../learning/index.ts';
import { type Charter, currentMembers, type Member, type Overlay } from '../overlay/index.ts';

/** The validators of a charter in force, in the order of their names with numbers counted as numbers. */
export function validatorsOf(charter: Charter | undefined, nowSeconds: number): readonly Member[] {
  if (charter === undefined) return [];
  return [...currentMembers(charter, nowSeconds).values()]
    .filter(({ role }) => role === 'validator')
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Which part of a shared data set is this validator's: its rank among the validators. Alone, or no member: all of it. */
export function slotOf(validators: readonly Member[], peerId: string): PartitionSlot {
  const index = validators.findIndex((member) => member.peerId === peerId);
  return index === -1 ? { index: 0, of: 1 } : { index, of: validators.length };
}

/** Who the other validators are, by the charter in force and the clock. */
export class Roster {
  readonly #overlay: Pick<Overlay, 'peerId' | 'charter' | 'peers'>;
  readonly #now: () => number;
  #ids: readonly string[] = [];

  /** @param now unix milliseconds */
  constructor(overlay: Pick<Overlay, 'peerId' | 'charter' | 'peers'>, now: () => number) {
    this.#overlay = overlay;
    this.#now = now;
  }

  /** All, this one included while it is a member. */
  readonly validators = (): readonly Member[] => validatorsOf(this.#overlay.charter, this.#now() / 1000);

  readonly others = (): readonly Member[] => this.validators().filter(({ peerId }) => peerId !== this.#overlay.peerId);

  /** The ids of all, in the order of all: the same array until they change. */
  readonly ids = (): readonly string[] => {
    const ids = this.validators().map(({ peerId }) => peerId);
    const isSame = ids.length === this.#ids.length && ids.every((id, at) => id === this.#ids[at]);
    if (!isSame) this.#ids = ids;
    return this.#ids;
  };

  /** Whether a peer is one of the others. */
  readonly isValidator = (peer: string): boolean => this.others().some(({ peerId }) => peerId === peer);

  /** Those of the others that are connected. */
  readonly peers = (): readonly string[] => {
    const known = new Set(this.others().map(({ peerId }) => peerId));
    return this.#overlay.peers().filter((peer) => known.has(peer));
  };
}
