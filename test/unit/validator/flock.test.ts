import { expect, test } from 'vitest';
import { digits, eventually, Flock } from './flock.ts';

test('four validators learn from quarters of the data, certify a version and hold it three times over', async () => {
  await using flock = await Flock.make();
  const birds = await Promise.all(['flock-0', 'flock-1', 'flock-2', 'flock-3'].map((name) => flock.hatch(name)));
  const members = birds.map(({ member }) => member);
  const model = digits();
  const holders = members.map(({ peerId }) => peerId);
  await flock.charter(
    members,
    [model],
    [
      { model: model.uid, index: 0, of: 2, holders: holders.slice(0, 3) },
      { model: model.uid, index: 1, of: 2, holders: holders.slice(1, 4) },
    ],
  );
  await Promise.all(birds.map((bird) => flock.start(bird)));
  for (const { name } of birds) {
    const status = await eventually(`${name} to learn, certify and hold`, 90, async () => {
      const seen = await flock.status(name);
      const learned = seen.models[0]?.accuracy >= 0.95 && seen.models[0]?.certified?.voters >= 3;
      return learned && seen.chunks.assigned > 0 && seen.chunks.held === seen.chunks.assigned ? seen : undefined;
    });
    expect(status.peers).toHaveLength(3);
    expect(status.models[0].partition.of).toBe(4);
    expect(status.problems).toEqual([]);
  }
  const { url } = flock.birds.get('flock-1')!.running;
  const answer = await fetch(`${url}/v1/models/digits:predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ instances: [new Array(64).fill(0)] }),
  });
  expect(answer.status).toBe(200);
  const { predictions } = (await answer.json()) as { predictions: number[][] };
  expect(predictions[0]?.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 3);
}, 120_000);
