import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { ModelSpec } from '../../../src/api/index.ts';
import {
  type Charter,
  type CharterModel,
  encodeSignedCharter,
  generateIdentity,
  type Member,
  type Placement,
  signCharter,
} from '../../../src/overlay/index.ts';
import { generateStakeKey, publicKeyOf, startSigner } from '../../../src/trust/index.ts';
import { type RunningValidator, startValidator } from '../../../src/validator/index.ts';
import type { World } from '../../../src/validator/world.ts';

const NETWORK = 'test/default';

interface Bird {
  readonly name: string;
  readonly folder: string;
  readonly identity: Uint8Array;
  readonly member: Member;
  readonly stop: AbortController;
  readonly running: RunningValidator;
}

/** Validators and their signers in this process, over real TCP and real files, with charters signed by a real authority. */
export class Flock implements AsyncDisposable {
  readonly #folder: string;
  readonly #authority: { readonly key: Uint8Array; readonly peerId: string };
  /** Where the charter is mounted. */
  readonly charterFile: string;
  readonly birds = new Map<string, Bird>();
  #seq = 0;
  #ports = 0;

  private constructor(folder: string, authority: { readonly key: Uint8Array; readonly peerId: string }) {
    this.#folder = folder;
    this.#authority = authority;
    this.charterFile = path.join(folder, 'charter.bin');
  }

  /** Peer id of who signs its charters. */
  get authority(): string {
    return this.#authority.peerId;
  }

  static async make(): Promise<Flock> {
    return new Flock(await mkdtemp(path.join(tmpdir(), 'flock-')), await generateIdentity());
  }

  /** Makes keys and a member entry; it runs after `start`. */
  async hatch(name: string): Promise<Omit<Bird, 'running' | 'stop'>> {
    const folder = path.join(this.#folder, name);
    const { key, peerId } = await generateIdentity();
    const stake = generateStakeKey();
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'identity.key'), key);
    await writeFile(path.join(folder, 'stake.key'), stake);
    const port = await freePort(20_000 + (process.pid % 1200) * 10 + this.#ports++ * 2);
    const member: Member = {
      peerId,
      name,
      stakeKey: publicKeyOf(stake),
      weight: 1,
      role: 'validator',
      notAfter: 0,
      addresses: [`/ip4/127.0.0.1/tcp/${port}`],
    };
    return { name, folder, identity: key, member };
  }

  /** Starts a validator, or starts it again where it was stopped. */
  async start(bird: Omit<Bird, 'running' | 'stop'>, world: Partial<World> = {}): Promise<Bird> {
    const stop = new AbortController();
    const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' }).child({ node: bird.name });
    const socket = path.join(bird.folder, 'signer.sock');
    const ownData = path.join(bird.folder, 'own.csv');
    await startSigner({
      keyFile: path.join(bird.folder, 'stake.key'),
      socket,
      protectionDir: path.join(bird.folder, 'protection'),
      // biome-ignore lint/suspicious/noExplicitAny: fastify's logger type
      log: log as any,
      signal: stop.signal,
    });
    const running = await startValidator({
      name: bird.name,
      network: NETWORK,
      authority: this.#authority.peerId,
      identity: path.join(bird.folder, 'identity.key'),
      charter: this.charterFile,
      stateDir: path.join(bird.folder, 'state'),
      signer: socket,
      listen: bird.member.addresses[0]!,
      http: '127.0.0.1:0',
      blocks: '127.0.0.1:0',
      mounts: path.join(bird.folder, 'mounts'),
      ...(existsSync(ownData) ? { ownData } : {}),
      log,
      signal: stop.signal,
      world,
    });
    const started = { ...bird, stop, running };
    this.birds.set(bird.name, started);
    return started;
  }

  async stop(name: string): Promise<void> {
    const bird = this.birds.get(name);
    bird?.stop.abort();
    await bird?.running.stopped;
    this.birds.delete(name);
  }

  /** Signs and mounts the next charter. */
  async charter(
    members: readonly Member[],
    models: readonly CharterModel[],
    placements: readonly Placement[] = [],
  ): Promise<void> {
    const charter: Charter = {
      network: NETWORK,
      seq: ++this.#seq,
      issuedAt: Math.floor(Date.now() / 1000),
      members,
      models,
      placements,
    };
    await writeFile(this.charterFile, encodeSignedCharter(await signCharter(charter, this.#authority.key)));
  }

  // biome-ignore lint/suspicious/noExplicitAny: a status is looked at from many sides
  async status(name: string): Promise<any> {
    return (await fetch(`${this.birds.get(name)?.running.url}/status`)).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.birds.keys()].map((name) => this.stop(name)));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A port that nobody listens on, from `first` on; below those that the system gives to clients. */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < 32_768; port++) {
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error(`no port from ${first} on is free`);
}

/** The bundled digits with small chunks and frequent versions. */
export function digits(overrides: Record<string, unknown> = {}): CharterModel {
  return {
    uid: 'b8a7c0de-0000-4000-8000-000000000001',
    name: 'digits',
    generation: 1,
    probeSeed: 7,
    spec: ModelSpec.parse({
      network: 'default',
      data: { source: { builtin: 'digits' }, classes: 10, scale: '16' },
      learning: { waitMilliseconds: 50 },
      versions: { everyAge: 200, minimumVoters: 3 },
      shards: { chunkBytes: 2048 },
      ...overrides,
    }),
  };
}

/** Waits until `look` is satisfied and gives what it saw. */
export async function eventually<T>(what: string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}, in vain`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
