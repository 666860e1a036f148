import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { type Figure, type Row, table } from './figures.ts';
import { opening, reading, type Settings, writing } from './measures.ts';

const HELP = `How fast the chunk store is, beside a bare loop over the same blocks in the same run.

    npm run bench:store -- [--json FILE] [--only NAME[,NAME]] [--rounds N] [--blocks N] [--files N] [--dir FOLDER]

  --json FILE   write the figures there too, as a JSON array
  --only NAMES  only these parts, with commas: writing, reading, opening
  --rounds N    rounds of each side, medians count (default 7)
  --blocks N    blocks of 128 KiB of a round (default 512)
  --files N     files of the part about opening (default 65536)
  --dir FOLDER  a folder on the disk to be measured (default: where temporary files go)
  --help        this text

Parts and their figures:
  writing  put_mb_s, put_durable_mb_s, flush_ms
  reading  get_disk_mb_s, get_cached_mb_s, verify_mb_s
  opening  open_ms, entry_bytes

Examples:
  npm run bench:store -- --json figures.json
  npm run bench:store -- --only writing --blocks 4096      more than may be unsynced
  npm run bench:store -- --rounds 1 --blocks 64 --files 1000   to see that it works`;

const PARTS: Readonly<Record<string, (settings: Settings) => Promise<readonly Row[]>>> = { writing, reading, opening };

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    blocks: { type: 'string', default: '512' },
    files: { type: 'string', default: '65536' },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const settings: Settings = {
  rounds: wholeNumber('rounds', values.rounds),
  blocks: wholeNumber('blocks', values.blocks),
  files: wholeNumber('files', values.files),
  parent: values.dir,
};
const wanted = values.only?.split(',') ?? Object.keys(PARTS);
const rows: Row[] = [];
for (const name of wanted) {
  const part = PARTS[name];
  if (part === undefined) {
    console.error(`There is no part "${name}". See --help.`);
    process.exit(2);
  }
  console.error(name);
  rows.push(...(await part(settings)));
}
console.log(table(rows));
if (values.json !== undefined) {
  const figures = rows.map(({ detail: _, ...figure }): Figure => figure);
  await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`--${flag} ${text}: give a whole number above 0.`);
  process.exit(2);
}
