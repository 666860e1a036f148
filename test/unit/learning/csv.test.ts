import { tmpdir } from 'node:os';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/learning/byte-source.ts';
import { type CsvShape, readCsv } from '../../../src/learning/csv.ts';
import { DEFAULT_DATA_LIMITS } from '../../../src/learning/data-limits.ts';
import { DataError } from '../../../src/learning/errors.ts';
import { featuresOf } from './fleet.ts';

const shape: CsvShape = { label: 'last', classes: 3 };
const parse = (content: Uint8Array, changes: object = {}, limits = DEFAULT_DATA_LIMITS) =>
  readCsv(memorySource('train.csv', content), { ...shape, ...changes }, { limits, scratch: tmpdir() });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function problemOf(
  text: string | Uint8Array,
  changes: object = {},
  limits = DEFAULT_DATA_LIMITS,
): Promise<DataError> {
  const problem = await parse(typeof text === 'string' ? bytes(text) : text, changes, limits).catch((error) => error);
  if (problem instanceof DataError) return problem;
  throw new Error(`expected a DataError, got ${String(problem)}`);
}

describe('readCsv', () => {
  it('reads a table without a header', async () => {
    const table = await parse(bytes('1,2.5,0\n-3,4e1,2\n'));
    expect(table).toMatchObject({ rows: 2, columns: 2, classes: 3 });
    expect([...featuresOf(table)]).toEqual([1, 2.5, -3, 40]);
    expect([...table.labels]).toEqual([0, 2]);
  });

  it('reads a header, a label column by name, quotes, spaces, CRLF, blank lines and a byte order mark', async () => {
    const table = await parse(bytes('\uFEFF"a", "kind",b\r\n\r\n1,2,3\r\n"4", 1 ,6'), { label: 'kind' });
    expect([...featuresOf(table)]).toEqual([1, 3, 4, 6]);
    expect([...table.labels]).toEqual([2, 1]);
  });

  it('reads gzip', async () => {
    expect((await parse(gzipSync('1,0\n2,1\n'))).rows).toBe(2);
  });

  it('gives back every number of any table', async () => {
    const row = fc.tuple(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: 0, max: 2 }));
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1 }), async (rows) => {
        const table = await parse(bytes(rows.map((cells) => cells.join(',')).join('\n')));
        // Text knows no negative zero.
        expect([...featuresOf(table)].map((x) => x + 0)).toEqual(rows.map(([x]) => x + 0));
        expect([...table.labels]).toEqual(rows.map(([, label]) => label));
      }),
    );
  });

  it('names a ragged row and how wide it should be', async () => {
    const problem = await problemOf('a,b,label\n1,2,0\n1,0\n');
    expect(problem.reason).toBe('DataMalformed');
    expect(problem.message).toBe('Row 3 of train.csv has 2 columns, the header has 3. Fix or remove the row.');
  });

  it.each(['x', '', 'NaN', 'Infinity', '1e39', '0x10', '1 2'])(
    'names the row and column of a cell %j',
    async (cell) => {
      const problem = await problemOf(`1,2,0\n1,${cell},0\n`);
      expect(problem.reason).toBe('DataMalformed');
      expect(problem.message).toMatch(/^Row 2 of train\.csv has .* in column 2, where a number must be\./);
    },
  );

  it.each(['3', '-1', '0.5'])('refuses label %s of 3 classes', async (label) => {
    const problem = await problemOf(`1,2,0\n1,2,${label}\n`);
    expect(problem.reason).toBe('LabelOutOfRange');
    expect(problem.message).toContain(`Row 2 of train.csv has label ${label}`);
    expect(problem.message).toContain('from 0 to 2');
  });

  it.each([
    ['', 'train.csv is empty'],
    ['\n \n', 'train.csv is empty'],
    ['a,label\n', 'has a header but no rows'],
    ['1\n2\n', 'has one column'],
  ])('refuses %j', async (text, says) => {
    const problem = await problemOf(text);
    expect(problem.reason).toBe('DataMalformed');
    expect(problem.message).toContain(says);
  });

  it('says which columns there are when the label column is missing', async () => {
    expect((await problemOf('a,b\n1,0\n', { label: 'kind' })).message).toContain('its columns are a, b');
    expect((await problemOf('1,0\n', { label: 'kind' })).message).toContain('has no header line');
  });

  it('refuses a gzip bomb before it is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024, '0'));
    const limits = { ...DEFAULT_DATA_LIMITS, freelyUnpackedBytes: 1024 * 1024, unpackedRatio: 10 };
    expect((await problemOf(bomb, {}, limits)).reason).toBe('DataTooLarge');
  });

  it('refuses a torn gzip', async () => {
    const whole = gzipSync('1,0\n'.repeat(1000));
    expect((await problemOf(whole.subarray(0, whole.length - 12))).reason).toBe('DataTruncated');
  });

  it('refuses rows and columns beyond the limits', async () => {
    const limits = { ...DEFAULT_DATA_LIMITS, rows: 2, columns: 3 };
    expect((await parse(bytes('1,1,1,0\n1,1,1,0\n'), {}, limits)).rows).toBe(2);
    expect((await problemOf('1,0\n1,0\n1,0\n', {}, limits)).reason).toBe('DataTooLarge');
    expect((await problemOf('1,1,1,1,0\n', {}, limits)).message).toContain('has 5 columns, the limit is 3');
  });

  it('arranges a row in the shape that the spec gives, and refuses one of another size', async () => {
    expect((await parse(bytes('1,2,3,4,0\n'), { shape: [2, 2, 1] })).shape).toEqual([2, 2, 1]);
    const problem = await problemOf('1,2,3,0\n', { shape: [2, 2, 1] });
    expect(problem.reason).toBe('DataShapeMismatch');
    expect(problem.message).toContain('has 3 feature columns, data.shape [2, 2, 1] wants 4');
  });

  it('reads lines that lie across the pieces in which a file is read', async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => `${i},${i % 7}.5,${i % 3}`);
    const table = await parse(bytes(rows.join('\n')));
    expect(table.rows).toBe(60_000);
    const features = featuresOf(table);
    expect(rows.every((_, i) => features[2 * i] === i && features[2 * i + 1] === (i % 7) + 0.5)).toBe(true);
  });
});
