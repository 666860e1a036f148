import { type Candidate, place } from './placement.ts';

/** A validator that can hold shards. */
export interface Place extends Omit<Candidate, 'domain' | 'holds'> {
  /** Labels of its machine. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Bytes of shards that its volume has room for, with what it holds of them already. */
  readonly capacity: number;
  /** Of these, bytes that shards which it does not hold yet must leave free. */
  readonly reserve: number;
  /** It may be given shards that it does not hold. */
  readonly isOpen: boolean;
}

/** A holder as the status of a shard records it. */
export interface Recorded {
  readonly node: string;
  /** It is to go on holding it; else it only waits until others do. */
  readonly stays: boolean;
}

/** What is wanted of one shard. */
export interface Demand {
  /** Name of the ModelShard. */
  readonly name: string;
  /** What it is hashed by. */
  readonly key: string;
  /** Shards of one group are placed all at once or not at all. */
  readonly group: string;
  readonly replicas: number;
  /** Bytes of one replica in all versions that are kept; 0 while no version is there. */
  readonly bytes: number;
  /** Topology label over which holders are spread. */
  readonly spread: string;
  readonly nodeSelector: Readonly<Record<string, string>> | undefined;
  /** Replicas that are whole, checked and can be asked now. */
  readonly live: number;
  /** Some version of it had all replicas once: it is placed, and never again taken from where it is for want of room. */
  readonly isPlaced: boolean;
  /** Little is known yet: holders that are as good as any stay where they are, and only vacancies are filled. */
  readonly isSteady: boolean;
  readonly holders: readonly Recorded[];
}

/** Why a shard has fewer holders than it should have. */
export type Shortage =
  /** There are not so many validators. */
  | { readonly of: 'validators'; readonly candidates: number }
  /** There are, and their volumes are too small. */
  | {
      readonly of: 'room';
      readonly candidates: number;
      /** How many of them have room for it. */
      readonly fitting: number;
      /** Bytes of one replica in all versions that are kept. */
      readonly bytes: number;
    };

/** Where a shard should be. */
export interface Placing {
  /** Validators that should hold it, best first. */
  readonly wanted: readonly string[];
  readonly shortage: Shortage | undefined;
  /** False: its group is not placed at all, for want of room. */
  readonly isPlaced: boolean;
}

/**
 * Where each shard of a network should be, with the room on every volume booked before anything is assigned.
 *
 * Invariants (test/unit/operator/shard-plan.test.ts): no validator is given a shard that it has no room for; what a holder
 * has is booked before anybody else is given room; the shard with the fewest live replicas takes room first; shards that
 * were never placed are placed as a whole group or not at all; a plan that was carried out is planned again.
 * @param demands in the order in which groups are served, the oldest first
 */
export function planShards(demands: readonly Demand[], places: readonly Place[]): ReadonlyMap<string, Placing> {
  const placings = new Map<string, Placing>();
  const isPlaced = new Set(demands.filter((demand) => demand.isPlaced).map(({ group }) => group));
  const ledger = new Ledger(demands, places);
  const urgent = demands.filter(({ group }) => isPlaced.has(group)).toSorted((a, b) => urgency(a) - urgency(b));
  for (const demand of urgent) placings.set(demand.name, ledger.settle(demand, true));
  const groups = Map.groupBy(
    demands.filter(({ group }) => !isPlaced.has(group)),
    ({ group }) => group,
  );
  for (const parts of groups.values()) {
    const before = ledger.mark();
    const settled = parts.map((demand) => [demand, ledger.settle(demand, false)] as const);
    const full = settled.find(([, { shortage }]) => shortage?.of === 'room')?.[1].shortage;
    if (full === undefined) {
      for (const [{ name }, placing] of settled) placings.set(name, placing);
      continue;
    }
    ledger.back(before);
    for (const [demand] of settled) {
      ledger.forget(demand);
      placings.set(demand.name, { wanted: [], shortage: full, isPlaced: false });
    }
  }
  return placings;
}

/** Fewest live replicas first; one that has all of them waits behind those. */
const urgency = ({ live, replicas }: Demand): number => (live >= replicas ? Number.POSITIVE_INFINITY : live);

/** Grades before and after those of places. */
const FIRST = -1;
const LAST = 10;

/** What is booked on each volume. */
interface Booked {
  /** Bytes of those that stay. */
  readonly staying: Map<string, number>;
  /** Bytes of those that only wait until others hold it. */
  readonly leaving: Map<string, number>;
}

class Ledger {
  readonly #places: readonly Place[];
  #booked: Booked = { staying: new Map(), leaving: new Map() };

  constructor(demands: readonly Demand[], places: readonly Place[]) {
    this.#places = places;
    for (const { holders, bytes } of demands) {
      for (const { node, stays } of holders) book(this.#booked[stays ? 'staying' : 'leaving'], node, bytes);
    }
  }

  mark(): Booked {
    return { staying: new Map(this.#booked.staying), leaving: new Map(this.#booked.leaving) };
  }

  back(to: Booked): void {
    this.#booked = to;
  }

  /** What was booked for the shard is free again. */
  forget({ holders, bytes }: Demand): void {
    for (const { node, stays } of holders) book(this.#booked[stays ? 'staying' : 'leaving'], node, -bytes);
  }

  /** Finds places for one shard and books them. @param isThere what its holders have is on their disks */
  settle(demand: Demand, isThere: boolean): Placing {
    const { key, replicas, bytes, spread, nodeSelector, isSteady, holders } = demand;
    const { staying, leaving } = this.#booked;
    const held = new Set(holders.filter(({ stays }) => stays).map(({ node }) => node));
    const waiting = new Set(holders.filter(({ stays }) => !stays).map(({ node }) => node));
    for (const node of held) book(staying, node, -bytes);
    const allowed = this.#places.filter(
      ({ node, labels, isOpen }) => (isOpen || held.has(node)) && isSelected(labels, nodeSelector),
    );
    const fits = ({ node, capacity, reserve }: Place): boolean => {
      if (bytes === 0) return true;
      const free = capacity - (staying.get(node) ?? 0);
      // What it holds it need not find room for, only keep; what waits on it is there, and is this shard's own if it comes back.
      if (isThere && held.has(node)) return free >= bytes;
      const elsewhere = (leaving.get(node) ?? 0) - (waiting.has(node) ? bytes : 0);
      return free - elsewhere - reserve >= bytes;
    };
    const roomy = new Set(allowed.filter(fits).map(({ node }) => node));
    const candidates = allowed
      .filter(({ node }) => roomy.has(node) || held.has(node))
      .map(({ node, weight, machine, zone, labels, grade }): Candidate => {
        const holds = held.has(node);
        // One that holds more than it has room for keeps it only where nobody else can take it.
        const asItIs = grade + (roomy.has(node) ? 0 : LAST);
        return {
          ...{ node, weight, machine, zone, holds },
          domain: labels?.[spread],
          grade: isSteady && holds && grade === 0 ? FIRST : asItIs,
        };
      });
    const wanted = place(key, candidates, replicas);
    const chosen = new Set(wanted);
    for (const node of chosen) book(staying, node, bytes);
    for (const node of chosen) if (waiting.has(node)) book(leaving, node, -bytes);
    for (const node of held) if (!chosen.has(node)) book(leaving, node, bytes);
    return { wanted, shortage: this.#shortage(demand, allowed.length, roomy, wanted), isPlaced: true };
  }

  #shortage(
    { replicas, bytes }: Demand,
    candidates: number,
    roomy: ReadonlySet<string>,
    wanted: readonly string[],
  ): Shortage | undefined {
    if (wanted.length === replicas && wanted.every((node) => roomy.has(node))) return undefined;
    if (wanted.length === candidates && wanted.every((node) => roomy.has(node)))
      return { of: 'validators', candidates };
    return { of: 'room', candidates, fitting: roomy.size, bytes };
  }
}

function book(to: Map<string, number>, node: string, bytes: number): void {
  to.set(node, (to.get(node) ?? 0) + bytes);
}

const isSelected = (
  labels: Readonly<Record<string, string>> | undefined,
  selector: Readonly<Record<string, string>> | undefined,
): boolean => selector === undefined || Object.entries(selector).every(([label, value]) => labels?.[label] === value);
