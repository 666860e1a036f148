import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  decodeEvidence,
  EvidenceStore,
  encodeEvidence,
  evidenceId,
  evidenceOf,
  verifyEvidence,
} from '../../../src/trust/index.ts';
import { folder, key, versionCid, vote } from './fixtures.ts';

const one = vote(key(1));
const other = vote(key(1), { version: versionCid(2) });

describe('evidence', () => {
  it('proves itself after a journey, in whichever order the votes were seen', () => {
    const evidence = evidenceOf(one, other)!;
    expect(evidenceOf(other, one)).toEqual(evidence);
    expect(decodeEvidence(encodeEvidence(evidence))).toEqual(evidence);
    expect(verifyEvidence(evidence)).toBe(true);
  });

  it.each([
    ['the same vote twice', one],
    ["two keys' votes", vote(key(2), { version: versionCid(2) })],
    ['votes for two ages', vote(key(1), { version: versionCid(2), age: 200 })],
    ['votes for two models', vote(key(1), { version: versionCid(2), model: 'x' })],
    ['a vote that is not signed', { ...other, signature: new Uint8Array(64) }],
  ])('is not made of %s', (_what, second) => {
    expect(evidenceOf(one, second)).toBeUndefined();
  });

  it('has one name a deed', () => {
    const third = vote(key(1), { version: versionCid(3) });
    expect(evidenceId(evidenceOf(one, third)!)).toBe(evidenceId(evidenceOf(one, other)!));
  });

  it('is kept once, over restarts, and a torn file is left out', async () => {
    const dir = await folder();
    const store = await EvidenceStore.open(dir);
    const evidence = evidenceOf(one, other)!;
    expect(await store.add(evidence)).toBe(true);
    expect(await store.add(evidence)).toBe(false);
    await writeFile(join(dir, 'torn.evidence'), encodeEvidence(evidence).subarray(0, 50));
    const again = await EvidenceStore.open(dir);
    expect(again.list()).toEqual([evidence]);
    await expect(again.add({ v: 1, a: one, b: one })).rejects.toThrow(/prove nothing/);
  });
});
