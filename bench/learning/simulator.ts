import { type Learning, ModelSpec } from '../../src/api/index.ts';
import { Guard } from '../../src/learning/guard.ts';
import type { Learner } from '../../src/learning/index.ts';
import { STEADY, TokenAccount } from '../../src/learning/index.ts';
import type { Layout } from '../../src/learning/layout.ts';
import { Participant } from '../../src/learning/participant.ts';
import { type Random, seeded } from '../../src/learning/random.ts';
import { createRouting, createStrategy, guardTermsOf, packingOf } from '../../src/learning/strategies.ts';
import type { Trainee } from '../../src/learning/trainee.ts';
import { NEUTRAL, ReputationBook } from '../../src/trust/index.ts';
import { ExchangeLoop } from '../../src/validator/exchange-loop.ts';
import { VirtualClock } from './clock.ts';
import type { Partition } from './tables.ts';

/** What the network does to messages and validators. Times are in waits between two exchanges. */
export interface Weather {
  /** Share of messages that are lost. */
  readonly drop: number;
  /** Shortest and longest way of a message; each draws one. */
  readonly delay: readonly [least: number, most: number];
  /** Share of time that a validator is there. */
  readonly online: number;
  /** Mean time that it is away. */
  readonly away: number;
}
export const FAIR: Weather = { drop: 0, delay: [0.01, 0.1], online: 1, away: 10 };
/** The extreme failures of Ormandi, Hegedus and Jelasity 2013. */
export const EXTREME: Weather = { drop: 0.5, delay: [1, 10], online: 0.9, away: 10 };

/** What is slow about one validator. */
export interface Straggler {
  /** Times as long as the others take for an update. */
  readonly slower?: number;
  /** Waits that a message to or from it takes longer. */
  readonly delay?: number;
}

/** What the loop drives. */
export type Driven = Pick<Learner, 'message' | 'merge' | 'update'>;

export interface Peer {
  readonly id: string;
  readonly participant: Participant;
  readonly layout: Layout;
  readonly isHonest: boolean;
}

export interface FleetOptions {
  /** `spec.learning`, defaults filled in. */
  readonly learning: object;
  /** How records were dealt out; `trainees` have them. */
  readonly partition?: Partition;
  /** One a validator. */
  readonly trainees: readonly Trainee[];
  readonly start: Float32Array;
  readonly seed: number;
  readonly weather?: Weather;
  /** Waits that an update takes; 0 unless told. */
  readonly work?: number;
  /** By their number. */
  readonly stragglers?: Readonly<Record<number, Straggler>>;
  /** Validators, the last ones, that want to do harm, and how. */
  readonly attackers?: number;
  readonly attack?: (self: Peer, fleet: readonly Peer[], random: Random) => Driven;
  /** What stands before a model is merged, where it is not what validators have. */
  readonly guard?: (trainee: Trainee) => Pick<Guard, 'judge'>;
  /** Whether models are judged and weighed by their sender's name; on in every validator. */
  readonly reputation?: boolean;
}

export const learningOf = (learning: object): Learning =>
  ModelSpec.parse({ data: { source: { builtin: 'digits' }, classes: 10 }, learning }).learning;

/**
 * A fleet in one process: participants, routings, paces, exchange loops and reputation books as they are in the pods,
 * over a clock and a network that are made up. Equal seeds give equal runs.
 */
export class Fleet {
  readonly peers: readonly Peer[];
  readonly waitMilliseconds: number;
  messages = 0;
  bytes = 0;
  refused = 0;
  /** Steps that each has trained. */
  readonly steps: number[];
  readonly #clock = new VirtualClock();
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #loops: ExchangeLoop[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #isOnline: boolean[];
  readonly #isCutOff: boolean[];
  readonly #stragglers: Readonly<Record<number, Straggler>>;
  readonly #failures: unknown[] = [];
  /** One each: a signal with thousands of listeners is slow. */
  readonly #stops: AbortController[] = [];

  constructor(options: FleetOptions) {
    const { trainees, start, seed, weather = FAIR, attackers = 0, partition = 'iid' } = options;
    const learning = learningOf(options.learning);
    this.waitMilliseconds = learning.waitMilliseconds;
    this.#random = seeded(seed);
    this.#weather = weather;
    this.#isOnline = trainees.map(() => true);
    this.#isCutOff = trainees.map(() => false);
    this.#stragglers = options.stragglers ?? {};
    this.steps = trainees.map(() => 0);
    this.peers = trainees.map((trainee, i) => ({
      id: `v${i}`,
      layout: trainee.layout,
      isHonest: i < trainees.length - attackers,
      participant: new Participant({
        uid: 'simulated',
        trainee: this.#counted(trainee, i),
        start,
        strategy: createStrategy(learning, start.length),
        packing: packingOf(learning.compression),
        guard: options.guard?.(trainee) ?? new Guard(trainee, guardTermsOf({ data: { partition }, learning })),
      }),
    }));
    const members = this.peers.map(({ id }) => id);
    members.forEach((id, i) => void this.#numbers.set(id, i));
    this.peers.forEach((peer, i) => void this.#loops.push(this.#loopOf(peer, i, members, learning, options)));
  }

  get honest(): readonly Peer[] {
    return this.peers.filter(({ isHonest }) => isHonest);
  }

  /** Lets so many waits pass. @throws what a learner threw */
  async run(waits: number): Promise<void> {
    if (this.#clock.now === 0) this.#begin();
    await this.#clock.runUntil(this.#clock.now + waits * this.waitMilliseconds);
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** Ends all loops. */
  stop(): void {
    for (const stop of this.#stops) stop.abort();
  }

  /** Takes a validator away, or brings it back. */
  setOnline(id: string, isOnline: boolean): void {
    this.#isOnline[this.#numbers.get(id) ?? -1] = isOnline;
  }

  /** Loses all messages to and from a validator, which learns on alone; or no longer. */
  cutOff(id: string, isCutOff: boolean): void {
    this.#isCutOff[this.#numbers.get(id) ?? -1] = isCutOff;
  }

  #counted(trainee: Trainee, i: number): Trainee {
    return {
      layout: trainee.layout,
      guessing: trainee.guessing,
      probe: (weights) => trainee.probe(weights),
      train: (weights, age) => {
        const trained = trainee.train(weights, age);
        this.steps[i] = (this.steps[i] ?? 0) + trained.steps;
        return trained;
      },
    };
  }

  #begin(): void {
    this.#loops.forEach((loop, i) => {
      if (this.#weather.online < 1) this.#comeAndGo(i);
      const stop = new AbortController();
      this.#stops.push(stop);
      loop.run(stop.signal).catch((error: unknown) => void this.#failures.push(error));
    });
  }

  #comeAndGo(i: number): void {
    const { online, away } = this.#weather;
    this.#isOnline[i] = this.#random() < online;
    const turn = (): void => {
      const mean = this.#isOnline[i] ? (away * online) / (1 - online) : away;
      const lasts = -Math.log(1 - this.#random()) * mean * this.waitMilliseconds;
      this.#clock.at(this.#clock.now + lasts, () => {
        this.#isOnline[i] = !this.#isOnline[i];
        turn();
      });
    };
    turn();
  }

  #loopOf(
    peer: Peer,
    i: number,
    members: readonly string[],
    learning: Learning,
    { attack, reputation = true, work = 0 }: FleetOptions,
  ): ExchangeLoop {
    const random = seeded(Math.floor(this.#random() * 2 ** 32));
    const { waitMilliseconds, tokens } = learning;
    const book = new ReputationBook({ now: () => this.#clock.now });
    const all = this.peers.length;
    // Everybody else, without a copy of the list for each.
    const neighbours = all > 500 ? members : members.filter((id) => id !== peer.id);
    const { participant } = peer;
    const driver: Driven =
      peer.isHonest || attack === undefined ? driven(participant) : attack(peer, this.peers, random);
    const takes = work * (this.#stragglers[i]?.slower ?? 1) * waitMilliseconds;
    const learner: Driven = takes === 0 ? driver : { ...driver, update: () => this.#after(takes).then(driver.update) };
    return new ExchangeLoop({
      learner,
      routing: createRouting(learning, { self: peer.id, uid: 'simulated', random, waitMilliseconds }),
      pace: tokens === undefined ? STEADY : new TokenAccount(tokens, random),
      waitMilliseconds,
      members: () => members,
      neighbours: () => neighbours,
      trust: (from) => (reputation ? Math.min(1, book.of(from).learning / NEUTRAL) : 1),
      random,
      monotonic: () => this.#clock.now,
      now: () => this.#clock.now,
      sleep: (milliseconds, signal) => this.#sleep(i, milliseconds, signal),
      send: (to, message) => this.#send(peer.id, to, message),
      on: {
        sent: () => undefined,
        merged: (from, _bytes, { accepted, lossBefore, lossAfter }) => {
          if (!accepted) this.refused++;
          if (reputation && !Number.isNaN(lossBefore)) book.mergeEffect(from, lossBefore, lossAfter);
        },
        updated: () => undefined,
      },
    });
  }

  /** Who is away stands still. */
  async #sleep(i: number, milliseconds: number, signal: AbortSignal): Promise<void> {
    do await this.#clock.sleep(milliseconds, signal);
    while (this.#isOnline[i] === false);
  }

  async #send(from: string, to: string, message: Uint8Array): Promise<void> {
    this.messages++;
    this.bytes += message.byteLength;
    const { drop, delay } = this.#weather;
    const [least, most] = delay;
    const [sender, number] = [this.#numbers.get(from) ?? -1, this.#numbers.get(to) ?? -1];
    const more = (this.#stragglers[sender]?.delay ?? 0) + (this.#stragglers[number]?.delay ?? 0);
    const takes = (least + this.#random() * (most - least) + more) * this.waitMilliseconds;
    if (this.#random() < drop) return;
    if (this.#isCutOff[sender] === true || this.#isCutOff[number] === true) return;
    this.#clock.at(this.#clock.now + takes, () => {
      if (this.#isOnline[number] === true) this.#loops[number]?.receive(from, message);
    });
    // It is taken when its sender hears so.
    if (more > 0) await this.#after(2 * takes);
  }

  #after(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.#clock.at(this.#clock.now + milliseconds, resolve));
  }
}

/** A participant as the loop wants it. */
export function driven(participant: Participant): Driven {
  return {
    message: async (way) => participant.message(way),
    merge: async (bytes, sender) => participant.merge(bytes, sender),
    update: async () => participant.update(),
  };
}
