import { expect, it } from 'vitest';
import type { ScrubCounts, SwarmTraffic } from '../../../src/chunks/index.ts';
import { createValidatorMetrics, type ValidatorMetrics } from '../../../src/validator/metrics.ts';
import { refreshMetrics } from '../../../src/validator/metrics-refresh.ts';
import { Problems } from '../../../src/validator/problems.ts';
import type { Replicas } from '../../../src/validator/replicas.ts';

const parts = { peers: () => [], usedBytes: () => 5, tasks: () => [], problems: new Problems() };
const replicas = { standing: () => ({ assigned: 0, held: 0 }) };
const idle = { sentBytes: 0, receivedBytes: 0, duplicateBytes: 0, wrongBytes: 0 };
const unlooked = { checked: 0, corrupt: 0, unreadable: 0, rounds: 0, sinceRoundMs: undefined };

/** Lines of metrics whose names match, after a refresh with what the store and the swarm count. */
async function told(metrics: ValidatorMetrics, of: RegExp, scrubbed: ScrubCounts, traffic: SwarmTraffic) {
  const counts = { store: { scrubbed }, swarm: { traffic } };
  refreshMetrics(metrics, parts as unknown as Parameters<typeof refreshMetrics>[1], replicas as Replicas, counts, []);
  const lines = (await metrics.registry.metrics()).split('\n');
  return lines.filter((line) => of.test(line)).map((line) => line.trim());
}

it('tells what the check of all chunks found, and when it last came round', async () => {
  const metrics = createValidatorMetrics();
  const scrubs = (counts: Partial<ScrubCounts>) =>
    told(metrics, /^murmuration_chunks_(scrub|corrupt)/, { ...unlooked, ...counts }, idle);
  expect(await scrubs({ checked: 3 })).toEqual([
    'murmuration_chunks_scrubbed_total 3',
    'murmuration_chunks_corrupt_total 0',
  ]);
  expect(await scrubs({ checked: 10, corrupt: 1, sinceRoundMs: 2500 })).toEqual([
    'murmuration_chunks_scrubbed_total 10',
    'murmuration_chunks_corrupt_total 1',
    'murmuration_chunks_scrub_age_seconds 2.5',
  ]);
});

it('tells how many bytes of chunks went and came, all in all', async () => {
  const metrics = createValidatorMetrics();
  const traffic = { sentBytes: 7, receivedBytes: 20, duplicateBytes: 3, wrongBytes: 1 };
  const bytes = () => told(metrics, /^murmuration_swarm_bytes/, unlooked, traffic);
  const expected = ['sent', 'received', 'duplicate', 'wrong'].map(
    (kind, at) => `murmuration_swarm_bytes_total{kind="${kind}"} ${[7, 20, 3, 1][at]}`,
  );
  expect(await bytes()).toEqual(expected);
  expect(await bytes()).toEqual(expected);
});
