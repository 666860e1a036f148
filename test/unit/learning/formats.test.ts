import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { ModelData } from '../../../src/api/index.ts';
import type { DataFile } from '../../../src/learning/contract.ts';
import { type DataLimits, DEFAULT_DATA_LIMITS } from '../../../src/learning/data-limits.ts';
import type { Dataset } from '../../../src/learning/dataset.ts';
import { DataError } from '../../../src/learning/errors.ts';
import { prepareData } from '../../../src/learning/tables.ts';
import { idx, npy, png, tar, tarGz, zip } from './data-files.ts';
import { digitsSpec, featuresOf } from './fleet.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'scratch-'));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Given {
  readonly data?: Partial<ModelData>;
  readonly limits?: Partial<DataLimits>;
}

async function tableOf(file: DataFile, { data = {}, limits = {} }: Given = {}): Promise<Dataset> {
  const spec = digitsSpec();
  const model = {
    spec: {
      ...spec,
      data: { ...spec.data, source: { claim: { claimName: 'c', path: 'train.bin' } }, classes: 3, ...data },
    },
  };
  const room = { limits: { ...DEFAULT_DATA_LIMITS, ...limits }, scratch };
  return (await prepareData({ model, data: file }, room)).shared;
}

async function problemOf(file: DataFile, given: Given = {}): Promise<string> {
  const problem = await tableOf(file, given).catch((error: unknown) => error);
  if (problem instanceof DataError) return `${problem.reason}: ${problem.message}`;
  throw new Error(`expected a DataError, got ${String(problem)}`);
}

const shown = (table: Dataset) => ({
  rows: table.rows,
  shape: table.shape,
  features: [...featuresOf(table)],
  labels: [...table.labels],
});
const labels3 = npy([3], [0, 2, 1], { descr: '<i8' });
const npz = (x: Buffer, y: Buffer = labels3, options = {}) => zip({ 'x.npy': x, 'y.npy': y }, options);

describe('npz', () => {
  it.each(['<f4', '>f4', '<f8', '<i2', '<i4', '>i8', '|u1'])('reads numbers of type %s', async (descr) => {
    const x = npy([3, 2], [1, 2, 3, 4, 5, 250], { descr: descr as '<f4' });
    const expected = { rows: 3, shape: [2], features: [1, 2, 3, 4, 5, 250], labels: [0, 2, 1] };
    expect(shown(await tableOf(npz(x)))).toEqual(expected);
  });

  it('reads half floats, deflated arrays and the second version of the header', async () => {
    const header = npy([3, 1], [], { descr: '<f2', version: 2 });
    const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001).buffer);
    const table = await tableOf(npz(Buffer.concat([header, halves]), labels3, { deflate: true }));
    expect([...featuresOf(table)]).toEqual([1, -2, 2 ** -24]);
  });

  it('keeps the shape of records, and bytes as bytes', async () => {
    const x = npy([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255], { descr: '|u1' });
    const table = await tableOf(npz(x));
    expect([table.shape, table.kind, table.columns]).toEqual([[2, 2], 'uint8', 4]);
    expect((await tableOf(npz(x), { data: { shape: [2, 2, 1] } })).shape).toEqual([2, 2, 1]);
  });

  it('finds arrays by the usual names or by data.label', async () => {
    const x = npy([3, 1], [7, 8, 9]);
    const keras = zip({ 'x_test.npy': labels3, 'x_train.npy': x, 'y_test.npy': x, 'y_train.npy': labels3 });
    expect([...featuresOf(await tableOf(keras))]).toEqual([7, 8, 9]);
    const named = zip({ 'kind.npy': labels3, 'measured.npy': x });
    expect([...(await tableOf(named, { data: { label: 'kind' } })).labels]).toEqual([0, 2, 1]);
    expect(await problemOf(named)).toMatch(/^DataMalformed: .*no array of labels.*it holds kind, measured/);
    expect(await problemOf(npz(x), { data: { label: 'kind' } })).toContain('no array "kind"; it holds x, y');
  });

  it('reads one array with labels in the last column', async () => {
    const table = await tableOf(npy([2, 3], [1.5, 2, 0, 3, 4, 2]));
    expect(shown(table)).toEqual({ rows: 2, shape: [2], features: [1.5, 2, 3, 4], labels: [0, 2] });
    expect(await problemOf(npy([6], [1, 2, 3, 4, 5, 6]))).toMatch(/^DataShapeMismatch: .*numpy\.savez/);
  });

  it.each<[string, Buffer, RegExp, Given?]>([
    ['fewer labels than records', npz(npy([4, 1], [1, 2, 3, 4])), /^DataShapeMismatch: .* has 4 records, .* 3 labels/],
    ['one-hot labels', npz(npy([3, 1], [1, 2, 3]), npy([3, 2], [1, 0, 0, 1, 1, 0])), /argmax/],
    ['a label out of range', npz(npy([1, 1], [1]), npy([1], [3])), /^LabelOutOfRange: Record 0 of array y/],
    ['a label between numbers', npz(npy([1, 1], [1]), npy([1], [0.5])), /^LabelOutOfRange/],
    [
      'numbers that are not finite',
      npz(npy([3, 1], [1, Number.NaN, 3])),
      /^DataMalformed: Record 1 .* NaN at position 0/,
    ],
    ['an array that ends too early', npz(npy([3, 2], [1, 2, 3])), /^DataTruncated: array x of train\.bin ends/],
    ['an array that goes on', npz(npy([3, 1], [1, 2, 3, 4])), /^DataMalformed: .* goes on after/],
    ['Fortran order', npz(npy([3, 1], [1, 2, 3], { fortran: true })), /ascontiguousarray/],
    ['pickled objects', npz(npy([3], [1, 2, 3], { descr: '|O8' })), /type \|O8/],
    ['text for numbers', npz(npy([3], [1, 2, 3], { descr: '<U4' })), /type <U4/],
    [
      'another shape than the spec',
      npz(npy([3, 1], [1, 2, 3])),
      /data\.shape is \[2, 2\]/,
      { data: { shape: [2, 2] } },
    ],
    [
      'a shape of too many rows',
      npz(npy([2 ** 40, 1], []), npy([2 ** 40], [])),
      /^DataTooLarge: .* 1099511627776 records/,
    ],
    ['a shape of too many columns', npz(npy([3, 2 ** 40], [])), /^DataTooLarge: .* 1099511627776 numbers each/],
    ['no records', npz(npy([0, 2], []), npy([0], [])), /^DataMalformed: .* has no records/],
  ])('says what is wrong with %s', async (_, file, says, given = {}) => {
    expect(await problemOf(file, given)).toMatch(says);
  });

  it('refuses a zip that is cut off, damaged, or would unpack to too much', async () => {
    const whole = npz(npy([3, 1], [1, 2, 3]));
    expect(await problemOf(whole.subarray(0, whole.length - 30))).toMatch(/^DataTruncated: .*not a whole zip/);
    const damaged = Buffer.from(whole);
    const at = damaged.indexOf(Buffer.from(Float32Array.of(2).buffer));
    damaged[at + 3] = 0x41;
    expect(await problemOf(damaged)).toMatch(/^DataMalformed: x\.npy in train\.bin is damaged: its checksum/);
    const zeros = npz(npy([3, 100_000], new Array(300_000).fill(0)), labels3, { deflate: true });
    expect(zeros.length).toBeLessThan(10_000);
    const limits = { freelyUnpackedBytes: 1000, unpackedRatio: 10 };
    expect(await problemOf(zeros, { limits })).toMatch(/^DataTooLarge: train\.bin unpacks to more than/);
  });
});

describe('idx', () => {
  const records = idx([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
  const labels = idx([3], [2, 0, 1]);
  const data = { labels: { file: 'labels.idx' } };

  it.each([
    ['plain', records, labels],
    ['gzipped', gzipSync(records), gzipSync(labels)],
  ])('reads records and labels, %s', async (_, one, two) => {
    const table = await tableOf({ records: one, labels: two }, { data });
    expect(shown(table)).toMatchObject({ rows: 3, shape: [2, 2], labels: [2, 0, 1] });
    expect([table.kind, table.read(Int32Array.of(2)).at(-1)]).toEqual(['uint8', 255]);
  });

  it('reads numbers of other types, first byte first', async () => {
    const table = await tableOf({ records: idx([2, 2], [-1, 2.5, 3, 1e9], 0x0d), labels: idx([2], [0, 1]) });
    expect([...featuresOf(table)]).toEqual([-1, 2.5, 3, 1e9]);
    expect([...featuresOf(await tableOf({ records: idx([1, 2], [-300, 7], 0x0b), labels: idx([1], [0]) }))]).toEqual([
      -300, 7,
    ]);
  });

  it.each<[string, DataFile, RegExp]>([
    ['no labels', records, /^DataMalformed: .*Set data\.labels\.file/],
    ['labels that are none', { records, labels: records }, /^DataShapeMismatch: .* \(3, 2, 2\); labels are one number/],
    ['too few labels', { records, labels: idx([2], [0, 1]) }, /^DataShapeMismatch/],
    [
      'a label out of range',
      { records, labels: idx([3], [0, 9, 1]) },
      /^LabelOutOfRange: Record 1 of labels\.idx has label 9/,
    ],
    ['a file that is cut off', { records: records.subarray(0, -1), labels }, /^DataTruncated: train\.bin ends/],
    ['a gzip that is cut off', { records: gzipSync(records).subarray(0, -9), labels }, /^DataTruncated: .*gzip/],
    ['labels of no format', { records, labels: Buffer.from('0\n1\n2\n') }, /^DataFormatUnknown: labels\.idx is no IDX/],
  ])('says what is wrong with %s', async (_, file, says) => {
    expect(await problemOf(file, { data })).toMatch(says);
  });
});

const dark = png(2, 2, [0, 1, 2, 3]);
const light = png(2, 2, [252, 253, 254, 255]);
const red = png(1, 1, [255, 0, 0], 'rgb');

describe('images', () => {
  const files = { '2/a.png': light, '0/a.png': dark, '0/b.png': light };

  it.each([
    ['a zip', zip(files, { deflate: true })],
    ['a tar', tar(files)],
    ['a tar.gz', tarGz(files)],
  ])('reads %s of class folders that are named by their labels', async (_, archive) => {
    const table = await tableOf(archive);
    expect(shown(table)).toEqual({
      rows: 3,
      shape: [2, 2, 1],
      features: [252, 253, 254, 255, 0, 1, 2, 3, 252, 253, 254, 255],
      labels: [2, 0, 0],
    });
    expect(table.kind).toBe('uint8');
  });

  it('reads a folder in the order of names, and follows no links out of it', async () => {
    const folder = mkdtempSync(path.join(scratch, 'images-'));
    for (const name of ['train/cat', 'train/bird', 'train/dog', 'train/.cache']) {
      await mkdir(path.join(folder, name), { recursive: true });
    }
    await writeFile(path.join(folder, 'train/cat/1.png'), dark);
    await writeFile(path.join(folder, 'train/bird/1.png'), light);
    await writeFile(path.join(folder, 'train/readme.txt'), 'about');
    await writeFile(path.join(folder, 'train/.cache/x.png'), 'no image');
    await symlink('/etc/hostname', path.join(folder, 'train/cat/link.png'));
    const table = await tableOf({ folder });
    // bird, cat, dog: an empty folder is a class, the folder around them is none.
    expect(shown(table)).toMatchObject({ rows: 2, labels: [0, 1] });
  });

  it('has as many channels as the first image or the spec', async () => {
    const archive = zip({ '0/a.png': red });
    expect(shown(await tableOf(archive))).toMatchObject({ shape: [1, 1, 3], features: [255, 0, 0] });
    expect(await tableOf(archive, { data: { shape: [1, 1, 1] } }).then(featuresOf)).toEqual(Float32Array.of(76));
    expect((await tableOf(archive, { data: { shape: [1, 1, 4] } }).then(featuresOf)).at(-1)).toBe(255);
  });

  it('reads long names of a tar, and leaves out what macOS adds', async () => {
    const long = `${'deep/'.repeat(30)}1/a.png`;
    const archive = tar({ [long]: dark, '__MACOSX/1/._a.png': Buffer.from('no image') });
    expect([...(await tableOf(archive)).labels]).toEqual([1]);
  });

  it.each<[string, Buffer, RegExp, Given?]>([
    [
      'images of two sizes',
      zip({ '0/a.png': dark, '0/b.png': red }),
      /^DataShapeMismatch: 0\/b\.png .* is 1 x 1, 0\/a\.png is 2 x 2/,
    ],
    [
      'images of another size than the spec',
      zip({ '0/a.png': dark }),
      /data\.shape is 3 x 3/,
      { data: { shape: [3, 3] } },
    ],
    ['a shape of no image', zip({ '0/a.png': dark }), /set it to \[2, 2, 1\]/, { data: { shape: [4] } }],
    ['a folder that is no label', zip({ '3/a.png': dark }), /^LabelOutOfRange: .*folder 3; with data\.classes 3/],
    [
      'too few named folders',
      zip({ 'cat/a.png': dark, 'dog/a.png': dark }),
      /^LabelOutOfRange: .*2 folders \(cat, dog\)/,
    ],
    [
      'too many folders',
      zip({ 'a/a.png': dark, 'b/a.png': dark, 'c/a.png': dark, 'd/a.png': dark }),
      /^LabelOutOfRange: .*more than 3 folders/,
    ],
    ['an image outside of folders', zip({ 'a.png': dark }), /^DataMalformed: a\.png .* lies in no folder/],
    ['other images', zip({ '0/b.png': dark, '0/a.jpg': dark }), /^DataFormatUnknown: 0\/a\.jpg .*Convert/],
    [
      'what is named like an image',
      zip({ '0/a.png': Buffer.from('hello') }),
      /^DataMalformed: 0\/a\.png .*does not begin/,
    ],
    ['an image that is cut off', zip({ '0/a.png': dark.subarray(0, 50) }), /^DataMalformed: 0\/a\.png .*no whole PNG/],
    ['a tar that is cut off', tar(files).subarray(0, 700), /^DataTruncated/],
    [
      'a tar that is damaged',
      Buffer.concat([tar(files).subarray(0, 1024), Buffer.alloc(512, 1)]),
      /^DataMalformed: .*wrong checksum/,
    ],
  ])('says what is wrong with %s', async (_, archive, says, given = {}) => {
    expect(await problemOf(archive, given)).toMatch(says);
  });

  it('believes no size before it has looked at it', async () => {
    const vast = Buffer.from(dark);
    vast.writeUInt32BE(0x7fffffff, 16);
    expect(await problemOf(zip({ '0/a.png': vast }))).toMatch(/^DataTooLarge: .* numbers each/);
    const interlaced = Buffer.from(dark);
    interlaced[28] = 1;
    expect(await problemOf(zip({ '0/a.png': interlaced }))).toContain('interlaced');
  });
});

describe('a format', () => {
  it.each<[string, Buffer, ModelData['format']]>([
    ['a CSV', Buffer.from('1,0\n'), 'csv'],
    ['a gzipped CSV', gzipSync('1,0\n'), 'csv'],
    ['an npz', npz(npy([3, 1], [1, 2, 3])), 'npz'],
    ['images', zip({ '0/a.png': dark }), 'images'],
  ])('of %s is found by itself, and another one in the spec is refused', async (_, file, format) => {
    const found = shown(await tableOf(file));
    expect(shown(await tableOf(file, { data: { format } }))).toEqual(found);
    for (const other of ['csv', 'idx'] as const) {
      if (other === format) continue;
      expect(await problemOf(file, { data: { format: other } })).toMatch(
        new RegExp(`^DataFormatUnknown: train\\.bin is .*, data\\.format is ${other}`),
      );
    }
  });

  it.each<[string, Uint8Array]>([
    ['a program', Buffer.from('\x7fELF\x02\x01\x01\x00\x00\x00', 'latin1')],
    ['text in UTF-16', Buffer.from('\ufeff1,0\n', 'utf16le')],
    ['a zip of other things', zip({ 'readme.txt': Buffer.from('x') })],
  ])('of %s is unknown, and says what can be read', async (_, file) => {
    expect(await problemOf(file)).toMatch(/^DataFormatUnknown: .*Give a CSV file, what numpy\.savez writes, IDX files/);
  });
});

describe('a table that is larger than the limit of memory', () => {
  const rows = Array.from({ length: 5000 }, (_, row) => Array.from({ length: 150 }, (_, c) => row * 150 + c));
  const csv = Buffer.from(rows.map((row) => `${row.join(',')},${(row[0] ?? 0) % 3}`).join('\n'));
  const picked = Int32Array.of(4999, 0, 7, 8, 9, 3, 2500, 2501);

  it('lies on the scratch volume, and gives the same rows', async () => {
    const held = await tableOf(csv);
    const spooled = await tableOf(csv, { limits: { memoryBytes: 100_000 } });
    expect(spooled.read(picked)).toEqual(held.read(picked));
    expect(spooled.labels).toEqual(held.labels);
    expect(featuresOf(spooled)).toEqual(featuresOf(held));
    expect(readdirSync(scratch).filter((name) => name.startsWith('table-'))).toEqual([]);
    const descriptors = readdirSync('/proc/self/fd').length;
    spooled.close();
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors - 1);
  });

  it('is refused where the scratch volume may not hold it, and leaves nothing behind', async () => {
    const descriptors = readdirSync('/proc/self/fd').length;
    const limits = { memoryBytes: 100_000, scratchBytes: 2_000_000 };
    expect(await problemOf(csv, { limits })).toMatch(/^DataTooLarge: .*more than 3333 rows of 150 numbers/);
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
  });

  it('is read from a file that is open, in pieces', async () => {
    const file = path.join(scratch, 'large.csv');
    await writeFile(file, csv);
    const descriptor = openSync(file, 'r');
    const table = await tableOf({ descriptor, size: csv.length });
    closeSync(descriptor);
    expect(table.read(picked)).toEqual((await tableOf(csv)).read(picked));
  });

  it.each([
    ['npz', npz(npy([3, 1], [1, 2, 3]), labels3, { deflate: true })],
    ['zip', zip({ '0/a.png': png(1, 1, [7]) })],
    ['tar.gz', tarGz({ '0/a.png': png(1, 1, [7]) })],
    ['npy', npy([2, 3], [1.5, 2, 0, 3, 4, 2])],
    ['csv.gz', gzipSync('1,0\n')],
  ])('is read from a file that stays open: %s', async (name, bytes) => {
    const file = path.join(scratch, `file.${name}`);
    await writeFile(file, bytes);
    const descriptor = openSync(file, 'r');
    expect(shown(await tableOf({ descriptor, size: bytes.length }))).toEqual(shown(await tableOf(bytes)));
    closeSync(descriptor);
  });
});

/** Random changes of a file: bytes set, a part cut out, an end cut off. */
const mutated = (file: Buffer) =>
  fc
    .record({
      set: fc.array(fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      cut: fc.option(fc.tuple(fc.nat(file.length), fc.nat(64))),
      end: fc.option(fc.nat(file.length)),
    })
    .map(({ set, cut, end }) => {
      let bytes = Buffer.from(file);
      for (const [at, value] of set) bytes[at] = value;
      if (cut !== null) bytes = Buffer.concat([bytes.subarray(0, cut[0]), bytes.subarray(cut[0] + cut[1])]);
      return end === null ? bytes : bytes.subarray(0, end);
    });

describe('whatever the bytes are, there is a table or a DataError', { timeout: 120_000 }, () => {
  const limits = { rows: 10_000, columns: 10_000, freelyUnpackedBytes: 1_000_000, unpackedRatio: 1 };
  const images = { '0/a.png': dark, '1/b.png': light };
  const label = idx([3], [2, 0, 1]);
  const seeds: readonly (readonly [string, Buffer, Given])[] = [
    ['csv', Buffer.from('a,b,label\n1,2,0\n3,4,2\n"5",-6e-3,1\n'), {}],
    ['csv.gz', gzipSync('1,2,0\n3,4,2\n'), {}],
    ['npy', npy([2, 3], [1.5, 2, 0, 3, 4, 2]), {}],
    ['npz', npz(npy([3, 2], [1, 2, 3, 4, 5, 6])), {}],
    ['npz deflated', npz(npy([3, 2], [1, 2, 3, 4, 5, 6]), labels3, { deflate: true }), {}],
    ['zip of images', zip(images, { deflate: true }), {}],
    ['tar of images', tar(images), {}],
    ['tar.gz of images', tarGz(images), {}],
    ['image', dark, {}],
    ['idx', idx([3, 2], [0, 1, 2, 3, 4, 5]), {}],
    ['idx.gz', gzipSync(idx([3, 2], [0, 1, 2, 3, 4, 5])), {}],
  ];

  async function check(file: Buffer, given: Given): Promise<void> {
    const table = await tableOf(file, { ...given, limits }).catch((error: unknown) => error);
    if (table instanceof DataError) return;
    if (table instanceof Error) throw table;
    const { rows, labels, columns } = table as Dataset;
    expect(rows).toBeGreaterThan(0);
    expect(labels.every((one) => one >= 0 && one < 3)).toBe(true);
    const features = featuresOf(table as Dataset);
    expect(features.length).toBe(rows * columns);
    expect(features.every(Number.isFinite)).toBe(true);
  }

  it.each(seeds)('%s, changed at random', async (name, seed, given) => {
    await fc.assert(
      fc.asyncProperty(mutated(seed), async (bytes) => {
        if (name === 'image') await check(zip({ '0/a.png': bytes }), given);
        else if (name.startsWith('idx')) {
          const table = await tableOf({ records: bytes, labels: label }, { limits }).catch((error: unknown) => error);
          if (!(table instanceof DataError) && table instanceof Error) throw table;
        } else await check(bytes, given);
      }),
      { numRuns: 300 },
    );
  });

  it('random bytes behind every magic', async () => {
    const magics = ['', 'PK\x03\x04', 'PK\x05\x06', '\x93NUMPY\x01\x00', '\x1f\x8b\x08\x00', '\x00\x00\x08\x02'];
    const start = fc.constantFrom(...magics.map((magic) => Buffer.from(magic, 'latin1')));
    const formats = fc.constantFrom<ModelData['format']>('auto', 'csv', 'npz', 'images');
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 700 }), formats, (magic, rest, format) =>
        check(Buffer.concat([magic, rest]), { data: { format } }),
      ),
      { numRuns: 500 },
    );
  });
});
