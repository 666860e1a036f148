/**
 * Speaks for all validators of a network at once, in a process of its own: a few real peers of the overlay, which listen
 * where the pods are said to be, gossip a report of each validator in turn, each signed with that validator's own key.
 * What the operator gets is what it would get from so many pods: libp2p, Noise, gossipsub, signed messages. The peers are
 * not connected among themselves: relaying everything eight times over would take more than a core of one process.
 *
 *     node bench/operator/speaker.ts KUBECONFIG NAMESPACE NETWORK EVERY_MS
 *
 * A parent that forks it is told how many reports were gossiped, once a second.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { privateKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { pino } from 'pino';
import { CHARTER_FILE, LABELS } from '../../src/api/index.ts';
import { Client, ConfigMap, Pod, Secret } from '../../src/kube/index.ts';
import { Model } from '../../src/operator/kinds.ts';
import { KEY_FILE } from '../../src/operator/node/children/key-secret.ts';
import {
  createOverlay,
  decodeSignedCharter,
  encodeReport,
  memoryCharterStore,
  type Overlay,
  type Report,
} from '../../src/overlay/index.ts';
import { POD_IPS } from './kubelet.ts';

/** What a parent is told. */
export interface Spoken {
  readonly reports: number;
  /** Peers of the overlay that each of ours is connected to, the operator among them. */
  readonly peers: readonly number[];
}

const PORT = 4001;
/** Neighbours that a validator says something of. */
const JUDGED = 8;

/** The part of gossipsub that signs: private there, since a peer usually signs with one key. */
interface Signing {
  publishConfig: { author: unknown; key: Uint8Array; privateKey: PrivateKey };
}

interface Voice {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly privateKey: PrivateKey;
  readonly peerId: string;
}

if (import.meta.main) await run(process.argv.slice(2));

async function run([
  kubeconfig = '',
  namespace = '',
  network = '',
  everyMs = '5000',
]: readonly string[]): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const client = Client.from(config);
  const { items: secrets } = await client.list(Secret, { namespace });
  const voices = secrets.flatMap(({ metadata, data }): Voice[] => {
    const text = data?.[KEY_FILE.identity];
    const name = metadata.labels?.[LABELS.node];
    if (text === undefined || name === undefined || metadata.labels?.[LABELS.network] !== network) return [];
    const bytes = Buffer.from(text, 'base64');
    const privateKey = privateKeyFromProtobuf(bytes);
    return [{ name, bytes, privateKey, peerId: peerIdFromPrivateKey(privateKey).toString() }];
  });
  const { items: models } = await client.list(Model, { namespace });
  const record = await client.get(ConfigMap, { namespace, name: `${network}-charter` });
  const { items: pods } = await client.page(Pod, { namespace, limit: 1 });
  await client.close();
  const args = pods[0]?.spec?.containers[0]?.args ?? [];
  const authority = args[args.indexOf('--authority') + 1] ?? '';
  const signed = decodeSignedCharter(Buffer.from(record.binaryData?.[CHARTER_FILE] ?? '', 'base64'));

  const mouths = await gossips();
  const overlays: Overlay[] = [];
  for (const [at, ip] of POD_IPS.entries()) {
    const voice = voices[at];
    if (voice === undefined) break;
    const overlay = createOverlay({
      network: `${namespace}/${network}`,
      identity: voice.bytes,
      authority,
      listen: [`/ip4/${ip}/tcp/${PORT}`],
      charters: memoryCharterStore(signed),
      log: pino({ level: 'silent' }),
    });
    await overlay.start();
    overlays.push(overlay);
  }
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, () => ended.abort());

  let reports = 0;
  const tell = setInterval(() => {
    process.send?.({ reports, peers: overlays.map((overlay) => overlay.peers().length) } satisfies Spoken);
  }, 1000);
  const started = performance.now();
  const uids = models.map(({ metadata }) => metadata.uid);
  for (let said = 0; !ended.signal.aborted; ) {
    const due = Math.floor(((performance.now() - started) / Number(everyMs)) * voices.length);
    for (; said < due; said += 1) {
      const voice = voices[said % voices.length] as Voice;
      const at = said % overlays.length;
      const mouth = mouths[at] as Signing;
      const key = publicKeyToProtobuf(voice.privateKey.publicKey);
      // Read at the call, before anything else runs.
      mouth.publishConfig = {
        ...mouth.publishConfig,
        author: peerIdFromPrivateKey(voice.privateKey),
        key,
        privateKey: voice.privateKey,
      };
      overlays[at]?.publish('reports', reportOf(voices, said, uids)).then(
        () => {
          reports += 1;
        },
        (error: unknown) => console.error('speaker:', String(error)),
      );
    }
    await sleep(10);
  }
  clearInterval(tell);
  await Promise.all(overlays.map((overlay) => overlay.stop()));
  process.disconnect?.();
}

/** What a validator that learns says of itself. */
function reportOf(voices: readonly Voice[], said: number, models: readonly string[]): Uint8Array {
  const at = said % voices.length;
  const turn = Math.floor(said / voices.length);
  const neighbours = Array.from(
    { length: Math.min(JUDGED, voices.length - 1) },
    (_, n) => voices[(at + n + 1) % voices.length],
  );
  const report: Report = {
    v: 1,
    node: voices[at]?.name ?? '',
    at: Date.now(),
    charterSeq: 1,
    peers: JUDGED,
    backend: 'wasm',
    disk: { usedBytes: 40_000_000 + turn, freeBytes: 960_000_000 },
    models: models.map((uid) => ({
      uid,
      age: 100 + turn,
      loss: 1 / (turn + 1),
      accuracy: 1 - 1 / (turn + 2),
      divergence: 0.1 / (turn + 1),
    })),
    reputation: neighbours.flatMap((one) => {
      return one === undefined ? [] : [{ peerId: one.peerId, storage: 1, learning: 0.5, interactions: 0.9 }];
    }),
    held: [],
    problems: [],
  };
  return encodeReport(report);
}

/** Every gossipsub that starts from now on, in order. */
async function gossips(): Promise<readonly unknown[]> {
  const module = new URL('./gossipsub.js', import.meta.resolve('@libp2p/gossipsub'));
  const { GossipSub } = (await import(module.href)) as { GossipSub: { prototype: { start(): unknown } } };
  const started: unknown[] = [];
  const { start } = GossipSub.prototype;
  GossipSub.prototype.start = function (this: unknown) {
    started.push(this);
    return start.call(this);
  };
  return started;
}
