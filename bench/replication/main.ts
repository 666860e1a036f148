import { parseArgs } from 'node:util';
import { round, row, writeFigures } from '../figures.ts';
import { listed, Parts, wholeNumber } from '../parts.ts';
import { DISTURBANCES } from './disturbances.ts';
import { PARTS, type PartName, type Row, table } from './figures.ts';
import { REPLICAS } from './fleet.ts';
import { Stage, WITHIN } from './stage.ts';
import { Watch } from './watch.ts';

const HELP = `What becomes of a version's copies when a fleet on a real cluster is disturbed, read from its disks.

    npm run bench:replication -- [--json FILE] [--only NAME[,NAME]] [--mib N] [--validators N]

  --json FILE     write the figures there too, as a JSON array
  --only NAMES    only these parts or figures, with commas
  --mib N         size of a version in MiB (default 64)
  --validators N  validators of the fleet (default 6)
  --help          this text

It makes a kind cluster of its own, "murmuration-replication", as \`make up\` does, and removes it in the end; KEEP=1 leaves
it for the next run with KEEP=1. Every two seconds it counts the copies of every chunk that lie on disks of validators that
are up; in the end it hashes all of them. Figures: fewest live copies of any chunk at any moment; seconds until every chunk
had all copies again, sound, and the operator said so; bytes written to disks against bytes that were lost or had to leave.

Parts and their figures:
${listed(PARTS)}

Examples:
  npm run bench:replication -- --json figures.json
  KEEP=1 npm run bench:replication -- --only rot,volume --mib 8`;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    mib: { type: 'string', default: '64' },
    validators: { type: 'string', default: '6' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const tell = (line: string): void => console.error(line);
const parts = new Parts<PartName, Row>(PARTS, values.only, tell);
const [mib, validators] = [wholeNumber('mib', values.mib), wholeNumber('validators', values.validators)];
const stage = await Stage.make(mib, validators, tell);
try {
  for (const part of Object.keys(PARTS) as PartName[]) await parts.run(part, () => measure(part));
  console.log(table(parts.rows));
  if (values.json !== undefined) await writeFigures(values.json, parts.rows);
} finally {
  if (process.env.KEEP !== '1') await stage.remove();
}

async function measure(part: PartName): Promise<readonly Row[]> {
  const before = await stage.whole(REPLICAS, WITHIN);
  const census = await stage.census();
  const watch = new Watch(stage.cluster, stage.machines, before.chunks);
  watch.start(census);
  const begun = performance.now();
  const { what, lost, replicas, version, undo } = await DISTURBANCES[part](stage, before, census);
  tell(`  ${what}`);
  if (version !== undefined) watch.follow(version.chunks);
  const { chunks } = await stage.whole(replicas, WITHIN).finally(() => watch.stop());
  const seconds = (performance.now() - begun) / 1000;
  const rows: Row[] = [
    row(`${part}_least_copies`, watch.least, 'copies', `${what}; looked ${watch.looks} times`),
    row(`${part}_repair_s`, seconds, 's', `to ${replicas} sound live copies of each of ${chunks.length} chunks`),
  ];
  if (part !== 'disk') {
    const detail = `${mibOf(watch.moved)} written, ${mibOf(lost)} lost`;
    rows.push(row(`${part}_moved_vs_lost`, watch.moved / lost, '', detail));
  }
  for (const { name, value, detail } of rows) tell(`  ${name} ${value}: ${detail}`);
  await undo?.();
  return rows;
}

function mibOf(bytes: number): string {
  return `${round(bytes / 1024 ** 2)} MiB`;
}
