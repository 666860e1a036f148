/**
 * All of the bench that touches `src/chunks` and `src/overlay`: one peer of ours, wired as src/validator/assembly.ts does it,
 * less learning and votes.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import {
  answerBlock,
  BLOCK_PROTOCOL,
  type BuiltVersion,
  buildVersion,
  CHUNKS_PROTOCOL,
  ChunkFetcher,
  ChunkStore,
  FetchStalledError,
  Holdings,
  MAX_BLOCK_REQUEST_BYTES,
  MAX_CHUNKS_FRAME_BYTES,
  parseBlockCid,
  realClock,
  Swarm,
} from '../../src/chunks/index.ts';
import { seeded } from '../../src/learning/random.ts';
import {
  createOverlay,
  decodeSignedCharter,
  encodeReport,
  encodeSignedCharter,
  generateIdentity,
  type Member,
  memoryCharterStore,
  type Report,
  signCharter,
} from '../../src/overlay/index.ts';
import { Reporter, tellOfChunks } from '../../src/validator/reporter.ts';
import type { BlockStats, FileConfig, PeerConfig } from './contract.ts';

const NETWORK = 'bench/swarm';
const MODEL = 'bench-model';
/** As src/validator/assembly.ts has it. */
const CHANNEL = { frameTimeoutMs: 60_000, maxFramesPerSecond: 20_000, maxBufferedBytes: 2 * 1024 * 1024 };
/** Up to so many others a peer is connected to all of them, beyond to so many at least: see overlay/neighbours.ts. */
const ALL_UP_TO = 16;
const NEIGHBOURS_BEYOND = 8;

/** What makes it a member; bytes in base64. */
export interface OursConfig {
  readonly identity: string;
  /** Peer id. */
  readonly authority: string;
  readonly charter: string;
}

/** One peer of ours that listens. */
export interface Ours {
  /** What it has and is called so; undefined for a receiver. */
  readonly version: string | undefined;
  /** Connects; resolves when everyone is connected that will be. */
  meet(): Promise<void>;
  /** Tells the others that the version is here. */
  publish(): void;
  /** Resolves when every byte of the version is checked and on disk here. */
  fetch(version: string): Promise<void>;
  stats(): BlockStats;
}

/** An identity for each address and a charter of all of them, signed by an authority of the bench. */
export async function prepareOurs(addresses: readonly string[], port: number): Promise<readonly OursConfig[]> {
  const authority = await generateIdentity();
  const identities = await Promise.all(addresses.map(() => generateIdentity()));
  const members = identities.map(
    ({ peerId }, index): Member => ({
      peerId,
      name: `peer-${index}`,
      stakeKey: '',
      weight: 0,
      role: 'validator',
      notAfter: 0,
      addresses: [`/ip4/${addresses[index]}/tcp/${port}`],
    }),
  );
  const signed = await signCharter(
    { network: NETWORK, seq: 1, issuedAt: Math.floor(Date.now() / 1000), members, models: [], placements: [] },
    authority.key,
  );
  const charter = Buffer.from(encodeSignedCharter(signed)).toString('base64');
  return identities.map(({ key }) => ({
    identity: Buffer.from(key).toString('base64'),
    authority: authority.peerId,
    charter,
  }));
}

export async function startOurs(config: PeerConfig): Promise<Ours> {
  const { identity, authority, charter } = config.engine as OursConfig;
  const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' }, pino.destination(2));
  const store = await ChunkStore.open(join(config.folder, 'chunks'));
  const served = config.role === 'liar' ? lying(store) : store;
  const overlay = createOverlay({
    network: NETWORK,
    identity: Buffer.from(identity, 'base64'),
    authority,
    listen: [`/ip4/${config.addresses[config.index]}/tcp/${config.port}`],
    charters: memoryCharterStore(),
    log,
  });
  const holdings = new Holdings(store);
  overlay.subscribe('reports', () => undefined);
  const reporter = new Reporter({
    publish: async () => overlay.publish('reports', encodeReport(report())),
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    onError: (error) => log.warn({ err: error }, 'could not report'),
  });
  const report = (): Report => ({
    v: 1,
    node: `peer-${config.index}`,
    at: Date.now(),
    charterSeq: 1,
    peers: overlay.peers().length,
    backend: 'none',
    disk: { usedBytes: store.usedBytes, freeBytes: 0 },
    models: [],
    reputation: [],
    held: holdings.list().map(({ cid, manifest, map }) => ({
      model: manifest.model,
      cid: cid.toString(),
      chunks: map.length,
      bitmap: map.bits(),
    })),
    problems: [],
  });

  const swarm: Swarm = new Swarm({
    store: served,
    holdings,
    channels: (events) =>
      overlay.channels(CHUNKS_PROTOCOL, { ...CHANNEL, maxFrameBytes: MAX_CHUNKS_FRAME_BYTES }, events),
    clock: realClock,
    random: Math.random,
    stallMs: 10_000,
    onMisbehaviour: (peer, why, detail) => log.warn({ peer, why, detail }, 'a peer sent wrong bytes and is avoided'),
  });
  holdings.listen(tellOfChunks(swarm, () => reporter.hurry()));
  overlay.handle(BLOCK_PROTOCOL, { maxRequestBytes: MAX_BLOCK_REQUEST_BYTES, timeoutMs: 10_000 }, (request) =>
    answerBlock(served, request),
  );
  const fetcher = new ChunkFetcher({
    store,
    holdings,
    swarm,
    network: overlay,
    stallMs: 10_000,
    onFetched: () => reporter.hurry(),
  });

  const built = config.role === 'receiver' ? undefined : build(config.file);
  if (built !== undefined) await store.putAll([{ cid: built.cid, bytes: built.manifestBlock }, ...built.chunks]);
  const own = built && { cid: built.cid, manifest: built.manifest };
  await overlay.start();
  void reporter.run(new AbortController().signal);

  return {
    version: own?.cid.toString(),
    async meet() {
      await overlay.adopt(decodeSignedCharter(Buffer.from(charter, 'base64')));
      const others = config.addresses.length - 1;
      const wanted = others <= ALL_UP_TO ? others : NEIGHBOURS_BEYOND;
      while (overlay.peers().length < wanted) await sleep(50);
    },
    publish() {
      if (own !== undefined) holdings.follow(own.cid, own.manifest);
    },
    async fetch(version) {
      const cid = parseBlockCid(version);
      if (cid === undefined) throw new Error(`${version} is no name of a version`);
      const sources = () => overlay.peers();
      for (;;) {
        try {
          await fetcher.fetch(cid, { chunks: 'all', sources });
          return;
        } catch (error) {
          // A validator too tries again in its next round; what came is kept.
          if (!(error instanceof FetchStalledError)) throw error;
          log.warn({ err: error }, 'the fetch stalled, again');
        }
      }
    },
    stats: () => {
      const { receivedBytes, sentBytes, duplicateBytes, wrongBytes } = swarm.traffic;
      return { bytesIn: receivedBytes, bytesOut: sentBytes, wastedBytes: duplicateBytes + wrongBytes };
    },
  };
}

/** A version of one large tensor of random weights. */
function build({ bytes, chunkBytes, seed }: FileConfig): BuiltVersion {
  const data = new Float32Array(bytes / 4);
  const random = seeded(seed);
  for (let at = 0; at < data.length; at += 1) data[at] = random();
  return buildVersion({
    model: MODEL,
    network: NETWORK,
    age: 1,
    tensors: [{ name: 'weights', shape: [data.length], data }],
    chunkBytes,
  });
}

/** The store as a liar's serving side sees it: a bit of every block is wrong. */
function lying(store: ChunkStore): ChunkStore {
  const get: ChunkStore['get'] = async (cid) => {
    const bytes = (await store.get(cid))?.slice();
    if (bytes !== undefined) bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    return bytes;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'get') return get;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
