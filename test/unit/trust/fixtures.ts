import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import { onTestFinished } from 'vitest';
import { type SignedVote, StakeKey, type Vote, voteDigest } from '../../../src/trust/index.ts';

/** A folder that is removed when the test ends. */
export async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'murmuration-trust-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The name of a version that nobody built. */
export function versionCid(seed: number): string {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setUint32(0, seed);
  return CID.createV1(0x71, digest.create(0x12, hash)).toString();
}

/** Repeatable keys: the same index, the same key. */
export function key(index: number): StakeKey {
  const secret = new Uint8Array(32).fill(1);
  secret[31] = index + 1;
  return new StakeKey(secret);
}

export function vote(voter: StakeKey, change: Partial<Vote> = {}): SignedVote {
  const vote: Vote = {
    v: 1,
    network: 'testnet',
    model: 'm',
    age: 100,
    version: versionCid(1),
    voter: voter.publicKey,
    ...change,
  };
  return { vote, signature: voter.sign(voteDigest(vote)) };
}
