import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { isDead } from './leftovers.ts';

const BRIDGE = 'bridge0';
const run = promisify(execFile);

const PREFIX = 'murmuration-swarm';
const INTERFACE = 'eth0';
/**
 * A whole segment of 64 KiB as TCP hands it over passes at once, so that the kernel need not cut it: cheaper on a small
 * machine. Also what a peer may send at once after a pause. bytes
 */
const BURST_BYTES = 80 * 1024;
/** How long a packet may wait in the queue of a link before it is dropped. */
const QUEUE_MS = 100;
/** What arrives at a peer comes so many times as fast as what it sends, so that uplinks are what is scarce. */
const DOWN_FACTOR = 10;

/** Rate of one peer's link. Mbit/s, headers included; undefined: not shaped */
export type Rate = number | undefined;

/** What went over a peer's link, headers included, since it was made. bytes */
export interface Wire {
  readonly sent: number;
  readonly received: number;
}

/**
 * One network namespace a peer, each with a veth into one bridge, which has a namespace of its own: nothing of it is seen
 * outside, nothing in it reaches the outside. Each peer's egress is shaped by a token bucket (tbf), and so is what the bridge
 * sends to it, at {@link DOWN_FACTOR} times the rate. There is no delay: not every kernel has netem.
 */
export class Links {
  readonly addresses: readonly string[];
  readonly #names: readonly string[];
  readonly #hub: string;

  private constructor(names: readonly string[], hub: string) {
    this.#names = names;
    this.#hub = hub;
    this.addresses = names.map((_, index) => `10.77.${(index + 1) >> 8}.${(index + 1) & 255}`);
  }

  /** @throws Error that says what is missing and how to get it */
  static async open(rates: readonly Rate[]): Promise<Links> {
    mayMakeLinks();
    await sweepLinks();
    const owner = `${PREFIX}-${process.pid}`;
    const links = new Links(
      rates.map((_, index) => `${owner}-${index}`),
      `${owner}-hub`,
    );
    try {
      await links.#make(rates);
    } catch (error) {
      await links.close();
      throw error;
    }
    return links;
  }

  /** The command that runs this one in the namespace of a peer. */
  command(index: number, command: string, args: readonly string[]): readonly [string, readonly string[]] {
    return ['ip', ['netns', 'exec', this.#names[index] ?? '', command, ...args]];
  }

  /** Of each peer, in order. */
  async wire(): Promise<readonly Wire[]> {
    const { stdout } = await run('ip', ['-n', this.#hub, '-s', '-j', 'link', 'show', 'type', 'veth'], {
      maxBuffer: 16 * 1024 * 1024,
    });
    const shown = JSON.parse(stdout) as readonly {
      readonly ifname: string;
      readonly stats64: Readonly<Record<'rx' | 'tx', { readonly bytes: number }>>;
    }[];
    // As the bridge sees it: what it receives is what the peer sent.
    return this.#names.map((_, index) => {
      const stats = shown.find(({ ifname }) => ifname === port(index))?.stats64;
      return { sent: stats?.rx.bytes ?? 0, received: stats?.tx.bytes ?? 0 };
    });
  }

  /** What still runs in a namespace keeps it, unnamed, until it ends. */
  async close(): Promise<void> {
    await remove([...this.#names, this.#hub]);
  }

  async #make(rates: readonly Rate[]): Promise<void> {
    const hub = this.#hub;
    await ip('netns', 'add', hub);
    await ip('-n', hub, 'link', 'add', 'name', BRIDGE, 'type', 'bridge', 'mcast_snooping', '0');
    await ip('-n', hub, 'link', 'set', BRIDGE, 'up');
    for (const [index, name] of this.#names.entries()) {
      const outside = port(index);
      await ip('netns', 'add', name);
      await ip('-n', hub, 'link', 'add', outside, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', name);
      await ip('-n', hub, 'link', 'set', outside, 'master', BRIDGE, 'up');
      await ip('-n', name, 'addr', 'add', `${this.addresses[index]}/16`, 'dev', INTERFACE);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
      await ip('-n', name, 'link', 'set', INTERFACE, 'up');
      const rate = rates[index];
      if (rate === undefined) continue;
      await shape(name, INTERFACE, rate);
      await shape(hub, outside, rate * DOWN_FACTOR);
    }
  }
}

/**
 * Removes the namespaces of benches that were killed.
 * @throws Error when another one runs: two would measure each other
 */
async function sweepLinks(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list']);
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  const ours = names.filter((name) => name.startsWith(`${PREFIX}-`));
  for (const owner of new Set(ours.map(ownerOf))) {
    if (!isDead(owner))
      throw new Error(`another bench of swarms runs here (process ${owner}): wait until it has ended`);
  }
  await remove(ours);
}

const ownerOf = (name: string): number => Number(name.slice(PREFIX.length + 1).split('-')[0]);

async function remove(names: readonly string[]): Promise<void> {
  for (const name of names) if (existsSync(`/run/netns/${name}`)) await ip('netns', 'delete', name);
}

const port = (index: number): string => `peer${index}`;

async function shape(namespace: string, device: string, mbit: number): Promise<void> {
  const bytesPerMs = (mbit * 1e6) / 8 / 1000;
  const limit = Math.ceil(bytesPerMs * QUEUE_MS) + BURST_BYTES;
  const bucket = ['rate', `${Math.round(mbit * 1e6)}bit`, 'burst', `${BURST_BYTES}b`, 'limit', `${limit}b`];
  await run('tc', ['-n', namespace, 'qdisc', 'add', 'dev', device, 'root', 'tbf', ...bucket]);
}

async function ip(...args: readonly string[]): Promise<void> {
  await run('ip', [...args]);
}

function mayMakeLinks(): void {
  if (process.getuid?.() !== 0) throw new Error('making network namespaces needs root: run this as root');
  for (const program of ['ip', 'tc']) {
    try {
      execFileSync(program, ['-V'], { stdio: 'ignore' });
    } catch {
      throw new Error(`${program} is missing: install it with tools/apt.sh iproute2 (Debian), then run this again`);
    }
  }
}
