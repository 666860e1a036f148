import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CheckpointStore, type Snapshot } from '../../../src/learning/index.ts';
import {
  type CharterModel,
  encodeSignedCharter,
  generateIdentity,
  type Member,
  signCharter,
} from '../../../src/overlay/index.ts';
import { generateStakeKey, publicKeyOf } from '../../../src/trust/index.ts';
import { samplesOf, sum } from '../../operator/exposition.ts';
import type { Count, ValidatorConfig } from './contract.ts';
import { ValidatorProcess } from './process.ts';

const LOOK_MILLISECONDS = 500;
/** Sends that are under way when the last validator is done. */
const LAST_SENDS_MILLISECONDS = 1000;

export interface FleetOptions {
  readonly validators: number;
  readonly model: CharterModel;
  /** Each in a network of its own: it has all the data and nobody to send to. */
  readonly isLone?: boolean;
  /** Of the fleet alone. */
  readonly folder: string;
  readonly mounts: string;
  /** Ends the processes and makes whatever is waited for reject. */
  readonly signal: AbortSignal;
}

interface Bird {
  readonly process: ValidatorProcess;
  readonly folder: string;
  readonly url: string;
}

/** Validators in processes of their own on this machine, over TCP on the loopback, ready to learn. */
export class Fleet implements AsyncDisposable {
  readonly #options: FleetOptions;
  readonly #processes: ValidatorProcess[] = [];
  #birds: readonly Bird[] = [];

  private constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Resolves when all have their data and are connected with all others. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    try {
      await fleet.#start();
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  /** Lets all learn until each has done so many updates in all. */
  go(updates?: number): void {
    for (const { process } of this.#birds) process.tell(updates === undefined ? { do: 'go' } : { do: 'go', updates });
  }

  /** Resolves when each is held again. */
  held(): Promise<readonly Count[]> {
    return this.#each(({ process }) => process.next('held'));
  }

  counts(): Promise<readonly Count[]> {
    return this.#each(async ({ process }) => {
      process.tell({ do: 'count' });
      return process.next('counted');
    });
  }

  /** Bytes of models that were sent so far, all validators together. */
  async sentBytes(): Promise<number> {
    await sleep(LAST_SENDS_MILLISECONDS, undefined, { signal: this.#options.signal });
    const each = await this.#each(async ({ url }) => {
      const sent = samplesOf(await read(`${url}/metrics`), 'murmuration_exchange_bytes_total');
      return sum(sent.filter(({ labels }) => labels.direction === 'out'));
    });
    return each.reduce((total, bytes) => total + bytes, 0);
  }

  /** Ends the processes as pods are ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()));
  }

  /** What each saved when it was stopped: the weights that it would serve. */
  snapshots(): Promise<readonly Snapshot[]> {
    const { uid } = this.#options.model;
    return Promise.all(
      this.#birds.map(async ({ folder, process }) => {
        const saved = await new CheckpointStore(join(folder, 'state', 'models', uid)).load();
        if (saved === undefined) throw new Error(`${process.name} left no checkpoint in ${folder}`);
        return saved;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(): Promise<void> {
    const { validators, model, isLone = false, folder, mounts } = this.#options;
    const authority = await generateIdentity();
    const hatched = await Promise.all(
      Array.from({ length: validators }, async (_, at) => {
        const name = `flock-${at}`;
        const home = join(folder, name);
        const [identity, stake] = [await generateIdentity(), generateStakeKey()];
        mkdirSync(home, { recursive: true });
        writeFileSync(join(home, 'identity.key'), identity.key);
        writeFileSync(join(home, 'stake.key'), stake);
        const config: ValidatorConfig = {
          name,
          network: isLone ? `bench/lone-${at}` : 'bench/flock',
          authority: authority.peerId,
          folder: home,
          charter: join(isLone ? home : folder, 'charter.bin'),
          mounts,
        };
        const member = { peerId: identity.peerId, name, stakeKey: publicKeyOf(stake), weight: 1, notAfter: 0 };
        return { config, member: { ...member, role: 'validator' as const } };
      }),
    );
    this.#processes.push(...hatched.map(({ config }) => new ValidatorProcess(config)));
    const up = await this.#within(Promise.all(this.#processes.map((process) => process.next('up'))));
    this.#birds = up.map(({ url }, at) => {
      const [process, one] = [this.#processes[at], hatched[at]];
      if (process === undefined || one === undefined) throw new RangeError(`there is no validator ${at}`);
      return { process, folder: one.config.folder, url };
    });
    const members = hatched.map(({ member }, at): Member => ({ ...member, addresses: up[at]?.addresses ?? [] }));
    for (const [at, { config }] of (isLone ? hatched : hatched.slice(0, 1)).entries()) {
      const { network, charter } = config;
      const of = isLone ? members.slice(at, at + 1) : members;
      const issuedAt = Math.floor(Date.now() / 1000);
      const signed = await signCharter(
        { network, seq: 1, issuedAt, members: of, models: [model], placements: [] },
        authority.key,
      );
      writeFileSync(charter, encodeSignedCharter(signed));
    }
    await this.held();
    const others = isLone ? 0 : validators - 1;
    await this.#each(async ({ url }) => {
      while (sum(samplesOf(await read(`${url}/metrics`), 'murmuration_peers_count')) < others)
        await sleep(LOOK_MILLISECONDS, undefined, { signal: this.#options.signal });
    });
  }

  #each<T>(ask: (bird: Bird) => Promise<T>): Promise<readonly T[]> {
    return this.#within(Promise.all(this.#birds.map(ask)));
  }

  /** Rejects when the signal is aborted first. */
  async #within<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    const late = Promise.withResolvers<never>();
    const end = () => late.reject(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    return Promise.race([promise, late.promise]).finally(() => signal.removeEventListener('abort', end));
  }
}

async function read(url: string): Promise<string> {
  return (await fetch(url)).text();
}
