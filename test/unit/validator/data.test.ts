import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataOf } from '../../../src/validator/data.ts';
import { digits } from './flock.ts';

let mounts: string;
beforeEach(async () => {
  mounts = await mkdtemp(path.join(tmpdir(), 'mounts-'));
});
afterEach(() => rm(mounts, { recursive: true }));

async function mounted(file: string, content: string): Promise<void> {
  const place = path.join(mounts, file);
  await mkdir(path.dirname(place), { recursive: true });
  await writeFile(place, content);
}
const signal = new AbortController().signal;
const text = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString();

describe('the files of a model', () => {
  it('are its data and, for partition own, this validator’s own beside them, with labels where the format has them apart', async () => {
    for (const place of ['claim/mnist', 'own']) {
      await mounted(`${place}/images`, `images of ${place}`);
      await mounted(`${place}/labels`, `labels of ${place}`);
    }
    const sha256 = createHash('sha256').update('labels of claim/mnist').digest('hex');
    const model = digits({
      data: {
        source: { claim: { claimName: 'mnist', path: 'images' } },
        labels: { file: 'labels', sha256 },
        classes: 10,
        partition: 'own',
      },
    });
    const loaded = await dataOf(model, { mounts, ownData: path.join(mounts, 'own/images') }, signal);
    const [shared, own] = [loaded.data, loaded.ownData];
    if (!('labels' in shared) || own === undefined || !('labels' in own)) throw new Error('labels are missing');
    expect([shared.records, shared.labels].map(text)).toEqual(['images of claim/mnist', 'labels of claim/mnist']);
    // The digest in the spec is that of the shared file.
    expect([own.records, own.labels].map(text)).toEqual(['images of own', 'labels of own']);
    await loaded.release?.();
  });

  it('are also the model that it starts from', async () => {
    const json = JSON.stringify({ weightsManifest: [{ paths: ['w.bin'] }] });
    await mounted('claim/models/digits/model.json', json);
    await mounted('claim/models/digits/w.bin', 'weights');
    const sha256 = createHash('sha256').update(`${json}weights`).digest('hex');
    const claim = { claimName: 'models', path: 'digits/model.json' };
    const { start, release } = await dataOf(digits({ architecture: { from: { claim, sha256 } } }), { mounts }, signal);
    expect(text(start?.weights)).toBe('weights');
    await release?.();
    const other = digits({ architecture: { from: { claim, sha256: '0'.repeat(64) } } });
    await expect(dataOf(other, { mounts }, signal)).rejects.toMatchObject({ reason: 'DataDigestMismatch' });
  });
});
