import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { writeFigures } from '../figures.ts';
import { listed, type PartFigures, Parts, wholeNumber } from '../parts.ts';
import { type FigureName, type Row, table } from './figures.ts';
import { opening, reading, type Settings, writing } from './measures.ts';

const PARTS = {
  writing: ['put_mb_s', 'put_durable_mb_s', 'flush_ms'],
  reading: ['get_disk_mb_s', 'get_cached_mb_s', 'verify_mb_s'],
  opening: ['open_ms', 'entry_bytes'],
} as const satisfies PartFigures<FigureName>;

const HELP = `How fast the chunk store is, beside a bare loop over the same blocks in the same run.

    npm run bench:store -- [--json FILE] [--only NAME[,NAME]] [--rounds N] [--blocks N] [--files N] [--dir FOLDER]

  --json FILE   write the figures there too, as a JSON array
  --only NAMES  only these parts or figures, with commas
  --rounds N    rounds of each side, medians count (default 7)
  --blocks N    blocks of 128 KiB of a round (default 512)
  --files N     files of the part about opening (default 65536)
  --dir FOLDER  a folder on the disk to be measured (default: where temporary files go)
  --help        this text

Parts and their figures:
${listed(PARTS)}

Examples:
  npm run bench:store -- --json figures.json
  npm run bench:store -- --only writing --blocks 4096      more than may be unsynced
  npm run bench:store -- --rounds 1 --blocks 64 --files 1000   to see that it works`;

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
const parts = new Parts<keyof typeof PARTS, Row>(PARTS, values.only, console.error);
await parts.run('writing', () => writing(settings));
await parts.run('reading', () => reading(settings));
await parts.run('opening', () => opening(settings));

console.log(table(parts.rows));
if (values.json !== undefined) await writeFigures(values.json, parts.rows);
