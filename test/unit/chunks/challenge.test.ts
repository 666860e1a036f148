import { describe, expect, it } from 'vitest';
import { ChallengeResponder, ChunkStore, challenge, challengeProof, cidOf } from '../../../src/chunks/index.ts';
import { fastClock, folder, inProcessNetwork } from './fixtures.ts';

const bytes = new TextEncoder().encode('held by everybody');
const nonce = new Uint8Array(32).fill(5);
const cid = cidOf(bytes);

async function responder(self: string, holds: boolean): Promise<(request: Uint8Array) => Promise<Uint8Array>> {
  const store = await ChunkStore.open(await folder());
  if (holds) await store.put(bytes);
  const it = new ChallengeResponder(store, self);
  return (request) => it.answer(request);
}

describe('a storage challenge', () => {
  it('is passed by who holds the chunk, failed by who does not, and no answer is neither', async () => {
    const network = inProcessNetwork(
      { holder: await responder('holder', true), bare: await responder('bare', false) },
      fastClock(),
    );
    const ask = (peer: string) => challenge({ network, peer, cid, bytes, nonce, timeoutMs: 100 });
    expect(await ask('holder')).toBe('passed');
    expect(await ask('bare')).toBe('failed');
    expect(await ask('nobody')).toBe('no-answer');
  });

  it('is not passed with the answer of another holder', async () => {
    const network = inProcessNetwork({ cheat: await responder('holder', true) }, fastClock());
    expect(await challenge({ network, peer: 'cheat', cid, bytes, nonce })).toBe('failed');
  });

  it('is not passed with garbage', async () => {
    const network = inProcessNetwork(
      { a: async () => new Uint8Array([0xff]), b: async () => challengeProof(nonce, 'b', bytes) },
      fastClock(),
    );
    expect(await challenge({ network, peer: 'a', cid, bytes, nonce })).toBe('failed');
    expect(await challenge({ network, peer: 'b', cid, bytes, nonce })).toBe('failed');
  });

  it('has another answer for another nonce', () => {
    expect(challengeProof(nonce, 'a', bytes)).not.toEqual(challengeProof(new Uint8Array(32), 'a', bytes));
  });

  it('refuses a malformed question', async () => {
    await expect((await responder('a', true))(new Uint8Array(300))).rejects.toThrow(/at most 256/);
  });
});
