import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerConfig, PeerStats, Role } from './contract.ts';
import type { Engine, EngineName } from './engines.ts';
import { folderIn } from './leftovers.ts';
import { Links, type Rate, type Wire } from './links.ts';
import { machineCpuMs } from './machine.ts';
import { PeerProcess } from './process.ts';

/** One peer besides the seed, which is at the full rate and stays to the end. */
export interface Part {
  readonly role: Exclude<Role, 'seed'>;
  readonly rate: Rate;
  /** When it starts, after the first. ms */
  readonly startMs: number;
  /** When it is gone, after the first start; undefined: it stays, and serves when it is done. ms */
  readonly leaveMs: number | undefined;
}

export interface SwarmPlan {
  readonly engine: Engine;
  readonly seedRate: Rate;
  readonly parts: readonly Part[];
  readonly bytes: number;
  readonly chunkBytes: number;
  /** From the first start until all have it. ms */
  readonly limitMs: number;
  /** Where the peers keep their files. */
  readonly folder: string;
}

/** What one peer did between the first start and the last end. */
export interface PeerOutcome extends PeerStats {
  readonly part: Part;
  /** From its own start until it had the whole file; undefined: a liar or one that left before. ms */
  readonly ms: number | undefined;
  readonly wire: Wire;
}

export interface SwarmOutcome {
  readonly engine: EngineName;
  readonly bytes: number;
  /** From the first start to the last end. ms */
  readonly wallMs: number;
  readonly seed: PeerStats & { readonly wire: Wire };
  /** In the order of the plan's parts. */
  readonly peers: readonly PeerOutcome[];
  /** Of all that stayed, seed and liars too, between start and end; of those that left nothing is known. */
  readonly cpuMs: number;
  /** What all of the machine used meanwhile, the kernel included. */
  readonly machineCpuMs: number;
}

const PORT = 4001;
const UP_LIMIT_MS = 180_000;
const MEET_LIMIT_MS = 120_000;
/** After all are connected, until gossip has settled and the machine is quiet. */
const SETTLE_MS = 3000;
/** From the order until the start, so that it reaches all before. */
const NOTICE_MS = 500;
const TELL_MS = 10_000;

const open = new Set<() => Promise<void>>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void Promise.allSettled([...open].map((close) => close())).then(() => process.exit(130));
  });
}

/** Sets up links and processes, distributes one file, and takes everything down again. */
export async function swarm(plan: SwarmPlan, tell: (line: string) => void): Promise<SwarmOutcome> {
  const { engine, parts } = plan;
  const folder = await folderIn(plan.folder);
  const peers: PeerProcess[] = [];
  let links: Links | undefined;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      await Promise.allSettled(peers.map((peer) => peer.stop()));
      await links?.close();
      if (process.env.BENCH_KEEP === undefined) await rm(folder, { recursive: true, force: true });
      open.delete(close);
    })();
    return closing;
  };
  open.add(close);
  try {
    tell(`${engine.name}: starting ${parts.length + 1} processes`);
    links = await Links.open([plan.seedRate, ...parts.map(({ rate }) => rate)]);
    const { addresses } = links;
    const file = { bytes: plan.bytes, chunkBytes: plan.chunkBytes, seed: 1 };
    const engines = await engine.prepare(addresses, PORT, file);
    const start = async (index: number, role: Role, version?: string): Promise<PeerProcess> => {
      const own = join(folder, String(index));
      mkdirSync(own);
      const config: PeerConfig = {
        index,
        role,
        folder: own,
        file,
        addresses,
        port: PORT,
        ...(version === undefined ? {} : { version }),
        engine: engines[index],
      };
      const path = join(own, 'config.json');
      await writeFile(path, JSON.stringify(config), { mode: 0o600 });
      const [program, ...args] = engine.command;
      const command = (links as Links).command(index, program, [...args, path]);
      const peer = new PeerProcess(`${engine.name}, peer ${index}`, command, own);
      peers.push(peer);
      return peer;
    };
    const seed = await start(0, 'seed');
    const { version = '' } = await within(UP_LIMIT_MS, 'the seed has the file', seed.next('up'));
    for (const [at, { role }] of parts.entries()) await start(at + 1, role, version);
    const others = peers.slice(1);
    await within(UP_LIMIT_MS, 'all processes are up', Promise.all(others.map((peer) => peer.next('up'))));
    for (const peer of peers) peer.tell({ do: 'meet' });
    await within(MEET_LIMIT_MS, 'all are connected', Promise.all(peers.map((peer) => peer.next('ready'))));
    await sleep(SETTLE_MS);

    const before = await statsOf(peers);
    const wireBefore = await links.wire();
    const machineBefore = machineCpuMs();
    const at = monotonicMs() + NOTICE_MS;
    tell(`${engine.name}: all are connected, go`);
    seed.tell({ do: 'go', at });
    for (const [index, peer] of others.entries()) peer.tell({ do: 'go', at: at + (parts[index]?.startMs ?? 0) });
    const leaving = new AbortController();
    const leave = Promise.all(
      others.map(async (peer, index) => {
        const leaveMs = parts[index]?.leaveMs;
        if (leaveMs === undefined) return;
        await sleep(at + leaveMs - monotonicMs(), undefined, { signal: leaving.signal });
        peer.tell({ do: 'leave' });
      }),
    ).catch(() => undefined); // ended before
    let finished = 0;
    const times = others.map(async (peer, index): Promise<number | undefined> => {
      const part = parts[index];
      if (part?.role !== 'receiver' || part.leaveMs !== undefined) return undefined;
      const { ms } = await peer.next('done');
      finished += 1;
      return ms;
    });
    const wanted = parts.filter(({ role, leaveMs }) => role === 'receiver' && leaveMs === undefined).length;
    const progress = setInterval(() => {
      tell(`${engine.name}: ${((monotonicMs() - at) / 1000).toFixed(0)} s, ${finished} of ${wanted} have it`);
    }, TELL_MS);
    let took: readonly (number | undefined)[];
    try {
      took = await within(plan.limitMs, 'all have the file', Promise.all(times));
    } finally {
      clearInterval(progress);
      leaving.abort();
    }
    await leave;
    const stayed = peers.filter((_, index) => parts[index - 1]?.leaveMs === undefined);
    const after = await statsOf(stayed);
    const machineAfter = machineCpuMs();
    const wireAfter = await links.wire();
    const wallMs = Math.max(...took.map((ms, index) => (ms ?? 0) + (parts[index]?.startMs ?? 0)));
    const used = (index: number): PeerStats & { readonly wire: Wire } => {
      const peer = peers[index] as PeerProcess;
      const then = before.get(peer) as PeerStats;
      const now = after.get(peer) ?? then;
      return {
        ...now,
        bytesIn: now.bytesIn - then.bytesIn,
        bytesOut: now.bytesOut - then.bytesOut,
        wastedBytes: now.wastedBytes - then.wastedBytes,
        cpuMs: now.cpuMs - then.cpuMs,
        wire: {
          sent: (wireAfter[index]?.sent ?? 0) - (wireBefore[index]?.sent ?? 0),
          received: (wireAfter[index]?.received ?? 0) - (wireBefore[index]?.received ?? 0),
        },
      };
    };
    const all = peers.map((_, index) => used(index));
    return {
      engine: engine.name,
      bytes: plan.bytes,
      wallMs,
      seed: used(0),
      peers: parts.map((part, index) => ({ ...used(index + 1), part, ms: took[index] })),
      cpuMs: all.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      machineCpuMs: machineAfter - machineBefore,
    };
  } finally {
    await close();
  }
}

async function statsOf(peers: readonly PeerProcess[]): Promise<ReadonlyMap<PeerProcess, PeerStats>> {
  for (const peer of peers) peer.tell({ do: 'stats' });
  const told = peers.map(async (peer) => [peer, await peer.next('stats')] as const);
  return new Map(await within(30_000, 'all say what they used', Promise.all(told)));
}

/** @throws Error when it takes longer */
async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`not within ${(ms / 1000).toFixed(0)} s: ${what}`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
