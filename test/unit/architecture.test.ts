import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * The shape of the house, held by reading imports: arrows between rooms go one way.
 * cli -> {operator, validator} -> user -> {overlay, chunks, learning, trust, kube} -> {api, codec, disk}
 */
const floors = [
  ['api', 'codec', 'disk'],
  ['overlay', 'chunks', 'learning', 'trust', 'kube'],
  ['user'],
  ['operator', 'validator'],
  ['cli'],
] as const;
/** Rooms that could be published on their own. */
const alone = ['api', 'kube', 'codec', 'disk'];
/** Rooms that could be published with the two for bytes and files. */
const nearlyAlone = ['chunks', 'trust'];
/** What the users' library may be made of: it is for programs outside of a cluster. */
const ofUser = ['api', 'codec', 'learning', 'overlay'];
/** A door beside a room's index.ts: what names and counts look like, for the rooms that define messages of their own. */
const sideDoors = ['src/overlay/shapes.ts'];

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
  .split('\0')
  .filter((file) => file !== '');
const sources = files.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));

/** The text of a file; empty where it was deleted and that is not committed yet. */
function read(file: string): string {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return '';
  }
}

const roomOf = (file: string): string => file.split('/')[1] ?? '';
const floorOf = (room: string): number => floors.findIndex((rooms) => (rooms as readonly string[]).includes(room));

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Relative imports of a file, `import()` and re-exports included, as paths from the root. */
function importsOf(file: string, text: string): readonly Import[] {
  const named = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;
  return [...text.matchAll(named)].map((match) => ({
    from: file,
    to: normalize(join(dirname(file), match[1] ?? ''))
      .split(sep)
      .join('/'),
  }));
}

const imports = sources.flatMap((file) => importsOf(file, read(file)));
const between = imports.filter(({ from, to }) => to.startsWith('src/') && roomOf(from) !== roomOf(to));
const text = ({ from, to }: Import): string => `${from} imports ${to}`;

describe('the architecture', () => {
  it('has no room that this test does not know', () => {
    expect([...new Set(sources.map(roomOf))].filter((room) => floorOf(room) < 0)).toEqual([]);
  });

  it('lets a room import rooms below it, and none beside or above it', () => {
    expect(between.filter(({ from, to }) => floorOf(roomOf(to)) >= floorOf(roomOf(from))).map(text)).toEqual([]);
  });

  it.each(alone)('keeps %s free of anything else of ours', (room) => {
    expect(between.filter(({ from }) => roomOf(from) === room).map(text)).toEqual([]);
  });

  it.each(nearlyAlone)('keeps %s free of anything else of ours but codec and disk', (room) => {
    const more = between.filter(({ from, to }) => roomOf(from) === room && !['codec', 'disk'].includes(roomOf(to)));
    expect(more.map(text)).toEqual([]);
  });

  it("keeps the users' library free of what runs in a cluster", () => {
    const more = between.filter(({ from, to }) => roomOf(from) === 'user' && !ofUser.includes(roomOf(to)));
    expect(more.map(text)).toEqual([]);
  });

  it('reads and writes CBOR in one room', () => {
    const others = sources.filter(
      (file) => roomOf(file) !== 'codec' && /['"](@ipld\/dag-cbor|cborg)\b/.test(read(file)),
    );
    expect(others).toEqual([]);
  });

  it('keeps src free of what is around it', () => {
    expect(imports.filter(({ to }) => !to.startsWith('src/')).map(text)).toEqual([]);
  });

  it('enters a room by its index.ts', () => {
    const climbed = between.filter(({ to }) => to !== `src/${roomOf(to)}/index.ts` && !sideDoors.includes(to));
    expect(climbed.map(text)).toEqual([]);
  });

  it('says in the index.ts of each room what lives there', () => {
    const mute = floors.flat().filter((room) => !/^(\/\/|\/\*\*)/.test(read(`src/${room}/index.ts`)));
    expect(mute).toEqual([]);
  });

  it('exports nothing by default', () => {
    const code = files.filter((file) => /^(src|test|bench)\/.*\.ts$/.test(file));
    expect(code.filter((file) => /^export (default\b|\{[^}]*\bas default\b)/m.test(read(file)))).toEqual([]);
  });

  it('has no drawer for odds and ends', () => {
    expect(sources.filter((file) => /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)/.test(file))).toEqual([]);
  });
});

describe('the texts', () => {
  const readable = files.filter(
    (file) =>
      !/(^|\/)(package-lock\.json|go\.sum)$|\.(gz|png|svg|ico|tar|zip)$/.test(file) &&
      file !== relative(root, fileURLToPath(import.meta.url)),
  );

  it('name no host of a package registry: which one is used is for the machine to say', () => {
    const hosts = [
      /registry\.npmjs\.|\bnpmjs\.com/,
      /\bpypi\.org|pythonhosted\.org/,
      /\b(proxy|sum)\.golang\.org/,
      /\bcrates\.io/,
    ];
    expect(readable.filter((file) => hosts.some((host) => host.test(read(file))))).toEqual([]);
  });

  it('name no path of the machine that they were written on', () => {
    const here = [root, `${homedir()}/`].filter((path) => path.length > 4);
    const someone = /(^|[\s"'`(=:])\/(home|Users)\/[a-z]/m;
    const telling = readable.filter((file) => {
      const content = read(file);
      return someone.test(content) || here.some((path) => content.includes(path));
    });
    expect(telling).toEqual([]);
  });
});

describe('the reader of imports', () => {
  it('sees static, dynamic and type imports and re-exports', () => {
    const code = `import { a } from './a.ts';\nimport type { B } from "../kube/index.ts";\nexport * from './c.ts';\nawait import('../../api/index.ts');\nimport './d.ts';\nimport fs from 'node:fs';`;
    expect(importsOf('src/cli/x/y.ts', code).map(({ to }) => to)).toEqual([
      'src/cli/x/a.ts',
      'src/cli/kube/index.ts',
      'src/cli/x/c.ts',
      'src/api/index.ts',
      'src/cli/x/d.ts',
    ]);
  });
});
