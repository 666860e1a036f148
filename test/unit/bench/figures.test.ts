import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { judged, measured, median, quantile, row, spread, table, writeFigures } from '../../../bench/figures.ts';
import { table as operatorTable } from '../../../bench/operator/figures.ts';
import { row as storeRow, table as storeTable } from '../../../bench/store/figures.ts';
import { table as swarmTable } from '../../../bench/swarm/figures.ts';

const GOALS = { speed: { least: 2 }, wait: { below: 2 }, cost: { most: 2 }, weight: {} };

describe('a goal', () => {
  it.each([
    ['speed', [1, 2, 3], '>= 2', ['NO', 'yes', 'yes']],
    ['wait', [1, 2, 3], '< 2', ['yes', 'NO', 'NO']],
    ['cost', [1, 2, 3], '<= 2', ['yes', 'yes', 'NO']],
    ['weight', [1, 2, 3], '', ['', '', '']],
  ] as const)('is reached or not: %s', (name, values, goal, verdicts) => {
    const columns = judged(GOALS);
    const rows = values.map((value) => row(name, value, 's', ''));
    expect(rows.map((one) => columns.goal?.(one))).toEqual([goal, goal, goal]);
    expect(rows.map((one) => columns.reached?.(one))).toEqual(verdicts);
  });
});

describe('a table of figures', () => {
  it('has its head also where nothing was measured', () => {
    expect(table([], measured)).toBe('| figure | measured |\n| ------ | -------- |');
  });

  it('tells of the operator what was measured, promised and reached', () => {
    expect(operatorTable([row('failover_term_s', 1.234, 's', 'p50 1.2'), row('converge10000_s', 60, 's', '')])).toBe(
      [
        '| figure          | measured | goal | reached | detail |',
        '| ------          | -------- | ---- | ------- | ------ |',
        '| failover_term_s | 1.23 s   | < 2  | yes     | p50 1.2 |',
        '| converge10000_s | 60 s     |      |         |  |',
      ].join('\n'),
    );
  });

  it("tells of a swarm others' number too", () => {
    expect(swarmTable([row('pair_mb_s', 200, 'MB/s', 'two', { name: 'libtorrent tuned', value: 400 })])).toBe(
      [
        '| figure    | measured | goal   | reached | others                 | detail |',
        '| ------    | -------- | ----   | ------- | ------                 | ------ |',
        '| pair_mb_s | 200 MB/s | >= 250 | NO      | 400 (libtorrent tuned) | two |',
      ].join('\n'),
    );
  });

  it('judges a store by the ratio where there is one', () => {
    const rows = [storeRow('put_mb_s', 'MB/s', 'a loop', { ours: [90, 70, 79], bare: [100] })];
    expect(storeTable([...rows, row('entry_bytes', 300, 'B', 'many')])).toBe(
      [
        '| figure      | measured | bare loop        | ratio | goal   | reached | rounds |',
        '| ------      | -------- | ---------        | ----- | ----   | ------- | ------ |',
        '| put_mb_s    | 79 MB/s  | 100 MB/s, a loop | 0.79  | >= 0.8 | NO      | ours 90 70 79; bare 100 |',
        '| entry_bytes | 300 B    |                  |       | <= 300 | yes     | many |',
      ].join('\n'),
    );
  });
});

describe('numbers', () => {
  it('have a median and quantiles by nearest rank', () => {
    expect(median([3, 1, 2, 4])).toBe(2);
    expect(quantile([3, 1, 2, 4], 0)).toBe(1);
    expect(quantile([3, 1, 2, 4], 0.99)).toBe(4);
    expect(spread([1, 2, 3, 4])).toBe('p50 2.0, p95 4.0, p99 4.0');
  });
});

describe('a file of figures', () => {
  it('has all but the details', async () => {
    const file = join(tmpdir(), `figures-${process.pid}.json`);
    await writeFigures(file, [row('speed', 1.2345, 's', 'a word', { name: 'theirs', value: 2 })]);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([
      { name: 'speed', value: 1.23, unit: 's', peer: 'theirs', peerValue: 2, ratio: 0.617 },
    ]);
    await rm(file);
  });
});
