import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  type BuiltVersion,
  buildVersion,
  type ChunkNetwork,
  type ChunkStore,
  type Clock,
} from '../../../src/chunks/index.ts';
import { seeded } from '../../../src/learning/random.ts';

export { seeded };

/** A folder that is removed when the test ends. */
export async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'murmuration-chunks-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A version of `chunks` different chunks of 1 KiB. */
export function version(chunks: number, seed = 1): BuiltVersion {
  const random = seeded(seed);
  const data = Float32Array.from({ length: chunks * 256 }, () => random());
  return buildVersion({
    model: 'model-uid',
    network: 'testnet',
    age: 100,
    tensors: [{ name: 'dense/kernel', shape: [chunks, 256], data }],
    chunkBytes: 1024,
  });
}

/** Put a whole version, or some of its chunks, into a store. */
export async function fill(store: ChunkStore, built: BuiltVersion, indexes?: readonly number[]): Promise<void> {
  await store.putVerified(built.cid, built.manifestBlock);
  for (const index of indexes ?? built.chunks.keys()) {
    const chunk = built.chunks[index]!;
    await store.putVerified(chunk.cid, chunk.bytes);
  }
}

/** Peers in this process. A peer that is not there never answers, until its deadline. */
export function inProcessNetwork(
  peers: Readonly<Record<string, (request: Uint8Array, protocol: string) => Promise<Uint8Array>>>,
  clock: Clock,
): ChunkNetwork & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    request: async (peer, protocol, bytes, { timeoutMs, signal }) => {
      asked.push(peer);
      const answer = peers[peer];
      if (answer !== undefined) return answer(bytes, protocol);
      await clock.sleep(timeoutMs, signal);
      throw new Error(`${peer} did not answer within ${timeoutMs} ms`);
    },
  };
}

/** A clock whose sleeps last a hundredth of what they say. */
export function fastClock(): Clock {
  const start = performance.now();
  return {
    now: () => (performance.now() - start) * 100,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const timer = setTimeout(resolve, ms / 100);
        signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason);
        });
      }),
  };
}
