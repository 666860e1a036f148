import { expect, it } from 'vitest';
import { createValidatorMetrics } from '../../../src/validator/metrics.ts';
import { refreshMetrics } from '../../../src/validator/metrics-refresh.ts';
import { Problems } from '../../../src/validator/problems.ts';
import type { Replicas } from '../../../src/validator/replicas.ts';
import type { ReportParts } from '../../../src/validator/report.ts';

it('tells what the check of all chunks found, and when it last came round', async () => {
  const metrics = createValidatorMetrics();
  const parts = { peers: () => [], usedBytes: () => 5, tasks: () => [], problems: new Problems() };
  const replicas = { standing: () => ({ assigned: 0, held: 0 }) };
  const told = async (checked: number, corrupt: number, sinceRoundMs: number | undefined): Promise<string[]> => {
    const scrubbed = { checked, corrupt, unreadable: 0, rounds: 0, sinceRoundMs };
    refreshMetrics(metrics, parts as unknown as ReportParts, replicas as Replicas, { scrubbed }, []);
    const lines = (await metrics.registry.metrics()).split('\n');
    return lines.filter((line) => /^murmuration_chunks_(scrub|corrupt)/.test(line)).map((line) => line.trim());
  };
  expect(await told(3, 0, undefined)).toEqual([
    'murmuration_chunks_scrubbed_total 3',
    'murmuration_chunks_corrupt_total 0',
  ]);
  expect(await told(10, 1, 2500)).toEqual([
    'murmuration_chunks_scrubbed_total 10',
    'murmuration_chunks_corrupt_total 1',
    'murmuration_chunks_scrub_age_seconds 2.5',
  ]);
});
