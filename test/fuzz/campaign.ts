/**
 * Hostile members against a validator that runs: whatever they send on whatever protocol, it stays up, its memory bounded, and
 * goes on serving the others; whoever sent nonsense is cut off and thought less of.
 */

import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as dagCbor from '@ipld/dag-cbor';
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys';
import type { Connection } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import {
  BLOCK_PROTOCOL,
  CHALLENGE_PROTOCOL,
  CHUNKS_PROTOCOL,
  cidOf,
  encodeBlockRequest,
} from '../../src/chunks/index.ts';
import { encodeHello } from '../../src/overlay/hello.ts';
import { decodeSignedCharter, type Member, openCharter } from '../../src/overlay/index.ts';
import { createNode, type OverlayNode } from '../../src/overlay/node.ts';
import { USER_PROTOCOL } from '../../src/user/index.ts';
import { encodeLatest, LEARN_PROTOCOL, VERSIONS_PROTOCOL } from '../../src/validator/wire.ts';
import { seeded } from '../unit/chunks/fixtures.ts';
import { digits, eventually, Flock } from '../unit/validator/flock.ts';

const NETWORK = 'test/default';
const HELLO = '/murmuration/hello/1.0.0';
const CHARTER = '/murmuration/charter/1.0.0';
const PROTOCOLS = [
  HELLO,
  CHARTER,
  BLOCK_PROTOCOL,
  CHUNKS_PROTOCOL,
  CHALLENGE_PROTOCOL,
  LEARN_PROTOCOL,
  USER_PROTOCOL,
  VERSIONS_PROTOCOL,
];
const TOPICS = ['reports', 'votes'].map((topic) => `/murmuration/${NETWORK}/${topic}/1`);
/** Whoever is caught is avoided for minutes: there have to be others. */
const HOSTILE = 24;

export interface CampaignOptions {
  readonly seed: number;
  /** Milliseconds. */
  readonly forMs: number;
  readonly tell?: (line: string) => void;
}

export interface Outcome {
  readonly attacks: Readonly<Record<string, number>>;
  /** Of this process, with everybody in it, MB: before, and the most while attacked. */
  readonly rssMb: { readonly before: number; readonly most: number };
  /** Hostile peers whose interactions the victim thinks less of than of one that it never met. */
  readonly thoughtLessOf: number;
  readonly hostile: number;
  /** What escaped everybody's care. */
  readonly escaped: readonly string[];
}

interface Enemy {
  readonly member: Member;
  readonly key: Uint8Array;
  node?: OverlayNode;
}

/** @throws when the victim does not go on as before */
export async function campaign({ seed, forMs, tell = () => undefined }: CampaignOptions): Promise<Outcome> {
  const random = seeded(seed);
  const escaped: string[] = [];
  const onEscape = (error: unknown): void =>
    void escaped.push(error instanceof Error ? `${error.stack}` : String(error));
  process.on('uncaughtException', onEscape).on('unhandledRejection', onEscape);
  await using flock = await Flock.make();
  const birds = await Promise.all(['victim', 'friend'].map((name) => flock.hatch(name)));
  const enemies = await Promise.all(
    Array.from({ length: HOSTILE }, async (_, i): Promise<Enemy> => {
      const { member, identity } = await flock.hatch(`enemy-${i}`);
      return { member: { ...member, role: 'observer', stakeKey: '', weight: 0, addresses: [] }, key: identity };
    }),
  );
  const model = digits({ versions: { everyAge: 100, minimumVoters: 2 } });
  const members = [...birds, ...enemies].map(({ member }) => member);
  await flock.charter(
    members,
    [model],
    [{ model: model.uid, index: 0, of: 1, holders: birds.map(({ member }) => member.peerId) }],
  );
  await Promise.all(birds.map((bird) => flock.start(bird)));
  const [victim] = birds;
  if (victim === undefined) throw new Error('nobody hatched');
  const certified = async (above: number) => {
    const [seen] = (await flock.status('victim')).models;
    return (seen?.certified?.age ?? 0) > above
      ? (seen.certified as { readonly age: number; readonly cid: string })
      : undefined;
  };
  const first = await eventually('a certified version', 120, () => certified(0));
  const head = await openCharter(decodeSignedCharter(await readFile(flock.charterFile)), {
    network: NETWORK,
    authority: flock.authority,
  });
  const charter = { seq: head.seq, charter: CID.createV1(0x71, cidOf(new Uint8Array()).multihash).toString() };
  const before = process.memoryUsage().rss / 1e6;
  let most = before;
  const attacks: Record<string, number> = {};
  const arsenal = weapons(random, first.cid, charter);
  const end = Date.now() + forMs;
  let told = Date.now();
  while (Date.now() < end) {
    const weapon = arsenal[Math.floor(random() * arsenal.length)];
    const enemy = enemies[Math.floor(random() * enemies.length)];
    if (weapon === undefined || enemy === undefined) break;
    attacks[weapon.name] = (attacks[weapon.name] ?? 0) + 1;
    await weapon.fire(enemy, victim.member).catch(() => undefined); // it is for the victim to bear, not for us
    most = Math.max(most, process.memoryUsage().rss / 1e6);
    if (Date.now() - told > 10_000) {
      told = Date.now();
      tell(
        `${Math.round((end - told) / 1000)} s left, ${Object.values(attacks).reduce((a, b) => a + b, 0)} attacks, RSS ${most.toFixed(0)} MB at most`,
      );
    }
  }
  const now = await certified(0);
  await eventually('the victim to learn and certify on', 120, () => certified(now?.age ?? 0));
  const { peers } = await flock.status('victim');
  if (!JSON.stringify(peers).includes('friend')) throw new Error(`the friend is lost: ${JSON.stringify(peers)}`);
  const metrics = await (await fetch(`${flock.birds.get('victim')?.running.url}/metrics`)).text();
  const thoughtLessOf = enemies.filter(({ member }) => {
    const line = metrics.split('\n').find((one) => one.includes('interactions') && one.includes(member.name));
    return line !== undefined && Number(line.split(' ').at(-1)) < 0.5;
  }).length;
  await Promise.all(enemies.map(async ({ node }) => node?.stop()));
  await sleep(100);
  process.off('uncaughtException', onEscape).off('unhandledRejection', onEscape);
  return { attacks, rssMb: { before, most }, thoughtLessOf, hostile: enemies.length, escaped };
}

interface Weapon {
  readonly name: string;
  fire(enemy: Enemy, victim: Member): Promise<void>;
}

function weapons(
  random: () => number,
  version: string,
  head: { readonly seq: number; readonly charter: string },
): readonly Weapon[] {
  const whole = (below: number) => Math.floor(random() * below);
  const junk = (most = 4096) => Uint8Array.from({ length: whole(most) }, () => whole(256));
  const pick = <T>(some: readonly T[]): T => some[whole(some.length)] as T;
  const value = (depth = 0): unknown =>
    pick<() => unknown>([
      () => whole(2 ** 31),
      () => -whole(100),
      () => 'x'.repeat(whole(300)),
      () => junk(100),
      () => null,
      () => random(),
      () => (depth > 4 ? [] : Array.from({ length: whole(8) }, () => value(depth + 1))),
      () =>
        depth > 4
          ? {}
          : Object.fromEntries(
              Array.from({ length: whole(5) }, (_, i) => [pick(['k', 'n', 'at', 'v', `f${i}`]), value(depth + 1)]),
            ),
      () => CID.parse(version),
    ])();

  const connectionOf = async (enemy: Enemy, victim: Member): Promise<Connection> => {
    enemy.node ??= await createNode({
      privateKey: privateKeyFromProtobuf(enemy.key),
      listen: [],
      gater: {},
      addressesOf: () => [],
      topics: TOPICS,
    });
    if (enemy.node.status !== 'started') await enemy.node.start();
    const connection = await enemy.node.dial(multiaddr(`${victim.addresses[0]}/p2p/${victim.peerId}`), {
      signal: AbortSignal.timeout(3_000),
    });
    const hello = await connection.newStream(HELLO, { signal: AbortSignal.timeout(2_000) });
    hello.send(framed(encodeHello({ versions: [1], network: NETWORK, ...head, clock: Date.now() })));
    await hello.close({ signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    return connection;
  };
  const say = async (
    enemy: Enemy,
    victim: Member,
    protocol: string,
    pieces: readonly Uint8Array[],
    lingerMs = 20,
  ): Promise<void> => {
    const connection = await connectionOf(enemy, victim);
    const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(2_000) });
    stream.addEventListener('message', () => undefined);
    for (const piece of pieces) if (!stream.send(piece)) await stream.onDrain({ signal: AbortSignal.timeout(2_000) });
    await sleep(whole(lingerMs));
    if (random() < 0.5) stream.abort(new Error('enough'));
    else await stream.close({ signal: AbortSignal.timeout(500) });
  };
  const words = (...messages: unknown[]) => framed(Buffer.concat([Buffer.of(0), dagCbor.encode(messages)]));
  const open = (n: number, cid = version, length = 40) => ({
    k: 'open',
    n,
    version: CID.parse(cid),
    length,
    bits: new Uint8Array(Math.ceil(length / 8)).fill(255),
  });
  const stranger = () => cidOf(junk(40), 0x71).toString();

  return [
    { name: 'random bytes', fire: (e, v) => say(e, v, pick(PROTOCOLS), [junk(), junk()]) },
    { name: 'random bytes in a frame', fire: (e, v) => say(e, v, pick(PROTOCOLS), [framed(junk())]) },
    { name: 'half a frame', fire: (e, v) => say(e, v, pick(PROTOCOLS), [framed(junk()).subarray(0, whole(200))], 200) },
    {
      name: 'a frame over the limit',
      fire: (e, v) => say(e, v, pick(PROTOCOLS), [Uint8Array.of(0xff, 0xff, 0xff, 0x7f), junk()]),
    },
    { name: 'a length without end', fire: (e, v) => say(e, v, pick(PROTOCOLS), [new Uint8Array(16).fill(0xff)]) },
    { name: 'CBOR of another shape', fire: (e, v) => say(e, v, pick(PROTOCOLS), [framed(dagCbor.encode(value()))]) },
    {
      name: 'words of another shape',
      fire: (e, v) => say(e, v, CHUNKS_PROTOCOL, [words(open(1)), words(value(), value())]),
    },
    {
      name: 'a million wishes',
      fire: (e, v) =>
        say(e, v, CHUNKS_PROTOCOL, [
          words(open(1)),
          words({ k: 'want', n: 1, at: Array.from({ length: 60_000 }, () => whole(40)) }),
        ]),
    },
    {
      name: 'wishes by the thousand',
      fire: (e, v) =>
        say(e, v, CHUNKS_PROTOCOL, [
          words(open(1)),
          ...Array.from({ length: 500 }, () =>
            words({ k: 'want', n: 1, at: Array.from({ length: 20 }, () => whole(40)) }),
          ),
        ]),
    },
    {
      name: 'versions that do not exist',
      fire: (e, v) =>
        say(
          e,
          v,
          CHUNKS_PROTOCOL,
          Array.from({ length: 300 }, (_, n) => words(open(n, stranger(), 1 + whole(60_000)))),
        ),
    },
    {
      name: 'maps that change all the time',
      fire: (e, v) =>
        say(e, v, CHUNKS_PROTOCOL, [
          words(open(1)),
          ...Array.from({ length: 200 }, () => words({ k: pick(['have', 'lost']), n: 1, at: [whole(40), whole(45)] })),
        ]),
    },
    {
      name: 'chunks that nobody asked for',
      fire: (e, v) =>
        say(e, v, CHUNKS_PROTOCOL, [
          words(open(1)),
          framed(Buffer.concat([Buffer.from([1, 0, 0, 0, whole(9), 0, 0, 0, whole(50)]), junk(5_000)])),
        ]),
    },
    {
      name: 'words of what was never opened',
      fire: (e, v) =>
        say(e, v, CHUNKS_PROTOCOL, [
          words({ k: pick(['want', 'have', 'cancel', 'got', 'shut']), n: whole(99), at: [0] }),
        ]),
    },
    {
      name: 'questions by the hundred',
      fire: async (e, v) => {
        const connection = await connectionOf(e, v);
        const asked = Array.from({ length: 100 }, async () => {
          const protocol = pick([BLOCK_PROTOCOL, VERSIONS_PROTOCOL]);
          const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(1_000) });
          stream.send(
            framed(protocol === BLOCK_PROTOCOL ? encodeBlockRequest(CID.parse(stranger())) : encodeLatest('x')),
          );
        });
        await Promise.allSettled(asked);
      },
    },
    {
      name: 'gossip',
      fire: async (e, v) => {
        await connectionOf(e, v);
        for (let i = 0; i < 20; i++)
          await e.node?.services.pubsub.publish(pick(TOPICS), random() < 0.5 ? junk(20_000) : dagCbor.encode(value()));
      },
    },
    {
      name: 'strangers at the door',
      fire: async (_e, v) => {
        const [, , host = '', , port = ''] = v.addresses[0]?.split('/') ?? [];
        const sockets = Array.from({ length: 100 }, () => {
          const socket = connect(Number(port), host);
          socket.on('error', () => undefined).on('connect', () => socket.write(junk(200)));
          return socket;
        });
        await sleep(50 + whole(100));
        for (const socket of sockets) socket.destroy();
      },
    },
    {
      name: 'who comes and goes',
      fire: async (e, v) => {
        const connection = await connectionOf(e, v);
        if (random() < 0.5) connection.abort(new Error('enough'));
        else await e.node?.stop();
      },
    },
  ];
}

function framed(bytes: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  let left = bytes.byteLength;
  for (; left >= 0x80; left >>>= 7) prefix.push((left & 0x7f) | 0x80);
  return new Uint8Array(Buffer.concat([Uint8Array.from([...prefix, left]), bytes]));
}
