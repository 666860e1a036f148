import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Logger, pino } from 'pino';
import { onTestFinished } from 'vitest';
import { BufferMap, type BuiltVersion, buildVersion } from '../../../src/chunks/index.ts';
import type { Charter, HeldReport, Member, Placement, Report } from '../../../src/overlay/index.ts';
import {
  type Certificate,
  type CertifyingMember,
  certify as certifyVotes,
  generateStakeKey,
  StakeKey,
  type Vote,
  voteDigest,
} from '../../../src/trust/index.ts';
import { digits } from './flock.ts';

/** A folder that is removed when the test ends. */
export async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'murmuration-validator-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** A log that keeps its lines. */
export function keptLog(): {
  readonly log: Logger;
  readonly lines: { readonly msg: string; readonly level: number }[];
} {
  const lines: { msg: string; level: number }[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

export const silent = pino({ level: 'silent' });

/** A peer id for tests: the n-th of its kind. */
export const peer = (n: number): string => `12D3KooW${'ABCDEFGHJK'[n] ?? 'L'}${'a'.repeat(43)}`;

export function member(n: number, overrides: Partial<Member> = {}): Member {
  return {
    peerId: peer(n),
    name: `flock-${n}`,
    stakeKey: '',
    weight: 0,
    role: 'validator',
    notAfter: 0,
    addresses: [],
    ...overrides,
  };
}

export function charterOf(placements: readonly Placement[], members: readonly Member[] = []): Charter {
  return { network: 'test/default', seq: 1, issuedAt: 0, members, models: [digits()], placements };
}

/** A version of so many chunks of 1 KiB; different ages have different chunks. */
export function version(chunks: number, age = 100): BuiltVersion {
  const data = Float32Array.from({ length: chunks * 256 }, (_, i) => i + age / 1000);
  return buildVersion({
    model: digits().uid,
    network: 'test/default',
    age,
    tensors: [{ name: 'kernel', shape: [chunks, 256], data }],
    chunkBytes: 1024,
  });
}

/** A validator with its stake key. */
export interface Staker {
  readonly key: StakeKey;
  readonly member: CertifyingMember;
}

export function staker(peerId: string, weight = 1): Staker {
  const key = new StakeKey(generateStakeKey());
  return { key, member: { peerId, stakeKey: key.publicKey, weight } };
}

/** A certificate by these. */
export function certify(built: BuiltVersion, stakers: readonly Staker[]): Certificate {
  const { network, model, age } = built.manifest;
  const votes = stakers.map(({ key }) => {
    const vote: Vote = { v: 1, network, model, age, version: built.cid.toString(), voter: key.publicKey };
    return { vote, signature: key.sign(voteDigest(vote)) };
  });
  const members = stakers.map(({ member }) => member);
  return certifyVotes(votes, members, { quorum: '2/3', minimumVoters: 1 }, 1)!;
}

/** What a peer says that it holds of a version. */
export function heldOf(built: BuiltVersion, indexes: Iterable<number>): HeldReport {
  const chunks = built.manifest.chunks.length;
  const bitmap = BufferMap.of(chunks, indexes).bits();
  return { model: built.manifest.model, cid: built.cid.toString(), chunks, bitmap };
}

export function report(overrides: Partial<Report> = {}): Report {
  return {
    v: 1,
    node: 'flock-1',
    at: 1,
    charterSeq: 1,
    peers: 0,
    backend: 'wasm',
    disk: { usedBytes: 0, freeBytes: 0 },
    models: [],
    reputation: [],
    held: [],
    problems: [],
    ...overrides,
  };
}

/** A promise with its keys: tests say when something that takes time is over. */
export function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: () => resolve() };
}

/** Sleeps that end when the test says so. */
export class Sleeps {
  /** Every sleep that was begun, in milliseconds. */
  readonly asked: number[] = [];
  readonly #waiting = new Set<{ readonly milliseconds: number; readonly wake: () => void }>();
  readonly #heard = new Set<() => void>();

  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.asked.push(milliseconds);
      if (signal.aborted) return reject(signal.reason);
      const sleeper = { milliseconds, wake: resolve };
      this.#waiting.add(sleeper);
      signal.addEventListener('abort', () => {
        this.#waiting.delete(sleeper);
        reject(signal.reason);
      });
      for (const heard of this.#heard) heard();
    });

  /** Resolves when so many sleeps of this length were begun. */
  async until(milliseconds: number, times = 1): Promise<void> {
    await this.#when(() => this.asked.filter((asked) => asked === milliseconds).length >= times);
  }

  /** Ends the sleep of this length that began first, once there is one; of any length where none is given. */
  async next(milliseconds?: number): Promise<void> {
    const find = () =>
      [...this.#waiting].find((one) => milliseconds === undefined || one.milliseconds === milliseconds);
    await this.#when(() => find() !== undefined);
    const first = find()!;
    this.#waiting.delete(first);
    first.wake();
  }

  async #when(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#heard.add(resolve);
      await promise;
      this.#heard.delete(resolve);
    }
  }
}
