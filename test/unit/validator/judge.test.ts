import { describe, expect, it } from 'vitest';
import { FetchStalledError, type Manifest, WrongBytesError } from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { ModelError } from '../../../src/learning/index.ts';
import type { Proposal } from '../../../src/trust/index.ts';
import { type JudgeParts, judge } from '../../../src/validator/judge.ts';
import { keptLog, peer, version } from './fixtures.ts';
import { digits } from './flock.ts';

const built = version(1, 200);
const proposal: Proposal = {
  network: 'test/default',
  model: digits().uid,
  age: 200,
  version: built.cid.toString(),
  proposer: peer(1),
};
const ours = 0.4;

/** How a proposal whose weights have this loss on the shared probe is judged. */
function judged(theirs: number, overrides: Partial<JudgeParts> = {}, manifest: Manifest = built.manifest) {
  const { log, lines } = keptLog();
  const verdict = judge(proposal, {
    model: () => digits(),
    learner: () => ({
      snapshot: async () => ({ age: 1, tensors: [] }),
      score: async ({ age }) => ({ loss: age === 1 ? ours : theirs, accuracy: 0 }),
    }),
    open: async () => ({ manifest, snapshot: async () => ({ age: 200, tensors: [] }) }),
    log,
    ...overrides,
  });
  return { verdict, lines };
}
const failing = (error: Error): Partial<JudgeParts> => ({
  open: async () => {
    throw error;
  },
});

describe('a proposal', () => {
  it('is accepted when it is about as good as our own model', async () => {
    expect(await judged(ours).verdict).toBe('accept');
    expect(await judged(ours * 1.5 + 0.249).verdict).toBe('accept');
  });

  it('is rejected, and said so, when it is much worse or no number', async () => {
    for (const loss of [ours * 1.5 + 0.251, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { verdict, lines } = judged(loss);
      expect(await verdict).toBe('reject');
      expect(lines[0]?.msg).toMatch(/its loss is too far above our own/);
    }
  });

  it.each([
    ['model', { model: 'another' }],
    ['network', { network: 'test/another' }],
    ['age', { age: 400 }],
  ])('is rejected when its manifest names another %s', async (_what, change) => {
    expect(await judged(ours, {}, { ...built.manifest, ...change }).verdict).toBe('reject');
  });

  it.each([
    new MalformedError('a manifest', 'it is none'),
    new WrongBytesError('bafy', 3),
    new ModelError('another model'),
  ])('is rejected when its bytes are no version of this model: %s', async (error) => {
    expect(await judged(ours, failing(error)).verdict).toBe('reject');
  });

  it('is looked at later when its bytes are not to be had, the volume is full or the model is still loaded', async () => {
    const stalled = new FetchStalledError('bafy', 1, 10_000, []);
    expect(await judged(ours, failing(stalled)).verdict).toBe('later');
    expect(await judged(ours, { open: async () => undefined }).verdict).toBe('later');
    expect(await judged(ours, { learner: () => undefined }).verdict).toBe('later');
    expect(await judged(ours, { model: () => undefined }).verdict).toBe('later');
  });
});
