import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_DATA_LIMITS, parseCsv } from '../../../src/learning/dataset.ts';
import { DataError } from '../../../src/learning/errors.ts';

const shape = { file: 'train.csv', label: 'last', classes: 3 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function problemOf(text: string | Uint8Array, changes: object = {}, limits = DEFAULT_DATA_LIMITS): DataError {
  try {
    parseCsv(typeof text === 'string' ? bytes(text) : text, { ...shape, ...changes }, limits);
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error('the data were accepted');
}

describe('parseCsv', () => {
  it('reads a table without a header', () => {
    const table = parseCsv(bytes('1,2.5,0\n-3,4e1,2\n'), shape);
    expect(table).toMatchObject({ rows: 2, columns: 2, classes: 3 });
    expect([...table.features]).toEqual([1, 2.5, -3, 40]);
    expect([...table.labels]).toEqual([0, 2]);
  });

  it('reads a header, a label column by name, quotes, spaces, CRLF, blank lines and a byte order mark', () => {
    const table = parseCsv(bytes('\uFEFF"a", "kind",b\r\n\r\n1,2,3\r\n"4", 1 ,6'), { ...shape, label: 'kind' });
    expect([...table.features]).toEqual([1, 3, 4, 6]);
    expect([...table.labels]).toEqual([2, 1]);
  });

  it('reads gzip', () => {
    expect(parseCsv(gzipSync('1,0\n2,1\n'), shape).rows).toBe(2);
  });

  it('gives back every number of any table', () => {
    const row = fc.tuple(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: 0, max: 2 }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), (rows) => {
        const table = parseCsv(bytes(rows.map((cells) => cells.join(',')).join('\n')), shape);
        // Text knows no negative zero.
        expect([...table.features].map((x) => x + 0)).toEqual(rows.map(([x]) => x + 0));
        expect([...table.labels]).toEqual(rows.map(([, label]) => label));
      }),
    );
  });

  it('names a ragged row and how wide it should be', () => {
    const problem = problemOf('a,b,label\n1,2,0\n1,0\n');
    expect(problem.reason).toBe('DataMalformed');
    expect(problem.message).toBe('Row 3 of train.csv has 2 columns, the header has 3. Fix or remove the row.');
  });

  it.each(['x', '', 'NaN', 'Infinity', '1e39', '0x10', '1 2'])('names the row and column of a cell %j', (cell) => {
    const problem = problemOf(`1,2,0\n1,${cell},0\n`);
    expect(problem.reason).toBe('DataMalformed');
    expect(problem.message).toMatch(/^Row 2 of train\.csv has .* in column 2, where a number must be\./);
  });

  it.each(['3', '-1', '0.5'])('refuses label %s of 3 classes', (label) => {
    const problem = problemOf(`1,2,0\n1,2,${label}\n`);
    expect(problem.reason).toBe('LabelOutOfRange');
    expect(problem.message).toContain(`Row 2 of train.csv has label ${label}`);
    expect(problem.message).toContain('from 0 to 2');
  });

  it.each([
    ['', 'train.csv is empty'],
    ['\n \n', 'train.csv is empty'],
    ['a,label\n', 'has a header but no rows'],
    ['1\n2\n', 'has one column'],
  ])('refuses %j', (text, says) => {
    const problem = problemOf(text);
    expect(problem.reason).toBe('DataMalformed');
    expect(problem.message).toContain(says);
  });

  it('says which columns there are when the label column is missing', () => {
    expect(problemOf('a,b\n1,0\n', { label: 'kind' }).message).toContain('its columns are a, b');
    expect(problemOf('1,0\n', { label: 'kind' }).message).toContain('has no header line');
  });

  it('refuses a gzip bomb before it is unpacked', () => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024, '0'));
    const limits = { ...DEFAULT_DATA_LIMITS, textBytes: 1024 * 1024 };
    expect(problemOf(bomb, {}, limits).reason).toBe('DataTooLarge');
  });

  it('refuses a torn gzip', () => {
    const whole = gzipSync('1,0\n'.repeat(1000));
    expect(problemOf(whole.subarray(0, whole.length - 12)).reason).toBe('DataMalformed');
  });

  it('refuses files and tables beyond the limits', () => {
    expect(problemOf('1,0\n1,0\n', {}, { ...DEFAULT_DATA_LIMITS, fileBytes: 4 }).reason).toBe('DataTooLarge');
    expect(problemOf('1,1,0\n1,1,0\n', {}, { ...DEFAULT_DATA_LIMITS, cells: 3 }).reason).toBe('DataTooLarge');
  });
});
