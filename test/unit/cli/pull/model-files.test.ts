import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildVersion } from '../../../../src/chunks/index.ts';
import type { Input } from '../../../../src/cli/pull/certificate.ts';
import { modelFiles } from '../../../../src/cli/pull/model-files.ts';
import { certify, folder, peer, staker } from '../../validator/fixtures.ts';
import { digits } from '../../validator/flock.ts';
import { tensorFlow } from './tensorflow.ts';

/** Two columns, two classes: small enough to reckon by hand. */
const model = digits({ data: { source: { builtin: 'spambase' }, classes: 2 }, architecture: { preset: 'logistic' } });
const [kernel, bias] = [Float32Array.of(1, -1, 0.5, 2), Float32Array.of(0.25, -0.25)];
const built = buildVersion({
  model: model.uid,
  network: 'test/default',
  age: 7,
  tensors: [
    { name: '0_dense/kernel', shape: [2, 2], data: kernel },
    { name: '0_dense/bias', shape: [2], data: bias },
  ],
});
const stakers = [0, 1, 2].map((n) => staker(peer(n)));
const standardised: Input = {
  input: { columns: 2, scaling: { factor: [0.5, 4], offset: [10, -1] } },
  from: 'validators',
  agreed: 3,
  asked: 3,
};

async function written(input: Input) {
  const out = join(await folder(), 'model');
  await mkdir(out);
  const files = modelFiles(
    {
      namespace: 'test',
      model,
      version: built.cid.toString(),
      manifest: built.manifest,
      manifestBlock: built.manifestBlock,
      certificate: certify(built, stakers),
      signers: [],
      input,
      authority: { peerId: 'authority', from: 'a test' },
      charterSeq: 3,
      release: '0.0.0',
      now: Date.parse('2026-11-21T12:00:00Z'),
    },
    ['group1-shard1of1.bin'],
  );
  for (const { name, content } of files) await writeFile(join(out, name), content);
  await writeFile(join(out, 'group1-shard1of1.bin'), Buffer.concat(built.chunks.map(({ bytes }) => bytes)));
  return { out, names: files.map(({ name }) => name) };
}

/** Probability of the first of two classes. */
function byHand([a, b]: readonly [number, number]): number {
  const logit = (c: 0 | 1) => a * kernel[c]! + b * kernel[2 + c]! + bias[c]!;
  return 1 / (1 + Math.exp(logit(1) - logit(0)));
}

it('standardises each column by weights of their own, beside those that were certified', async () => {
  const { out, names } = await written(standardised);
  expect(names).toEqual(['model.json', 'group2-shard1of1.bin', 'manifest.cbor', 'murmuration.json']);
  const [row] = (await tensorFlow(out)).predict([[12, -0.5]]);
  expect(row![0]).toBeCloseTo(byHand([(12 - 10) * 0.5, (-0.5 + 1) * 4]), 5);
  expect(row![0]! + row![1]!).toBeCloseTo(1, 5);
});

it('has no such weights where one factor is for all', async () => {
  const { out, names } = await written({ ...standardised, input: { columns: 2, scaling: { factor: 0.5 } } });
  expect(names).toEqual(['model.json', 'manifest.cbor', 'murmuration.json']);
  const [row] = (await tensorFlow(out)).predict([[3, 1]]);
  expect(row![0]).toBeCloseTo(byHand([1.5, 0.5]), 5);
});
