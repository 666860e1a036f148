import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { LIBTORRENT_SETTINGS, type LibtorrentSetting } from './engines.ts';
import { type Figure, type FigureName, type Row, table } from './figures.ts';
import { Race } from './race.ts';
import type { Size } from './scenarios.ts';

const HELP = `How near to the bound a swarm of real processes distributes one file, and libtorrent beside it on the same links.

    npm run bench:swarm -- [--json FILE] [--only NAME[,NAME]] [--rounds N] [--libtorrent SETTINGS]
                           [--peers N] [--mbit N] [--mib N] [--chunk-kib N] [--folder FOLDER]

  --json FILE            write the figures there too, as a JSON array
  --only NAMES           only these parts or figures, with commas
  --rounds N             rounds of each; figures are medians (default 3)
  --libtorrent SETTINGS  which settings run beside ours, with commas: default, tuned, super; or none (default: all)
  --peers N              so many peers that want the file, besides the seed, in every part but pair
  --mbit N               uplink of each in Mbit/s, in every part but pair
  --mib N                size of the file in MiB, in every part
  --chunk-kib N          size of a chunk (and of libtorrent's pieces) in KiB (default 128)
  --folder FOLDER        where the peers keep their files (default: the folder for temporary files)
  --help                 this text

It makes network namespaces, so it needs root and iproute2 (tools/apt.sh iproute2), and takes down all that it made, also
after Ctrl-C. BENCH_KEEP=1 keeps the peers' folders, BENCH_PROFILE="--cpu-prof --cpu-prof-dir=DIR" goes to the node of each.

Parts and their figures:
  crowd16      eff_median_16, eff_slowest_16, eff_vs_libtorrent_16, seed_egress_16, duplicates_pct_16, cpu_ms_per_mb_16
  crowd8       eff_median_8
  staggered16  eff_median_staggered_16
  leavers16    eff_median_leavers_16
  slow16       eff_median_slow_16, slow_peers_cost_pct
  liars16      liars_cost_pct
  pair         pair_mb_s

Examples:
  npm run bench:swarm -- --json figures.json --rounds 1             everything once
  npm run bench:swarm -- --only eff_median_16 --libtorrent none     ours alone
  npm run bench:swarm -- --only crowd8,pair --rounds 5
  npm run bench:swarm -- --only crowd16 --peers 4 --mbit 50 --mib 16 --rounds 1    to see that it works`;

const PARTS: Readonly<Record<string, readonly FigureName[]>> = {
  crowd16: [
    'eff_median_16',
    'eff_slowest_16',
    'eff_vs_libtorrent_16',
    'seed_egress_16',
    'duplicates_pct_16',
    'cpu_ms_per_mb_16',
  ],
  crowd8: ['eff_median_8'],
  staggered16: ['eff_median_staggered_16'],
  leavers16: ['eff_median_leavers_16'],
  slow16: ['eff_median_slow_16', 'slow_peers_cost_pct'],
  liars16: ['liars_cost_pct'],
  pair: ['pair_mb_s'],
};
const PAIR_MIB = 256;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    libtorrent: { type: 'string', default: LIBTORRENT_SETTINGS.join(',') },
    peers: { type: 'string' },
    mbit: { type: 'string' },
    mib: { type: 'string' },
    'chunk-kib': { type: 'string', default: '128' },
    folder: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const only = values.only?.split(',');
for (const name of only ?? []) {
  if (
    name in PARTS ||
    Object.values(PARTS)
      .flat()
      .includes(name as FigureName)
  )
    continue;
  refuse(`There is no part or figure "${name}". See --help.`);
}
const settings = values.libtorrent === 'none' ? [] : values.libtorrent.split(',');
for (const name of settings) {
  if (!LIBTORRENT_SETTINGS.includes(name as LibtorrentSetting)) refuse(`There is no setting "${name}". See --help.`);
}
const chunkKib = wholeNumber('chunk-kib', values['chunk-kib']);
const size = (peers: number, mbit: number, mib: number): Size => ({
  peers: wholeNumber('peers', values.peers ?? String(peers)),
  mbit: wholeNumber('mbit', values.mbit ?? String(mbit)),
  mib: wholeNumber('mib', values.mib ?? String(mib)),
  chunkKib,
});
const large = size(16, 20, 64);
const small = size(8, 20, 32);
const tell = (line: string): void => console.error(line);
const race = new Race({
  rounds: wholeNumber('rounds', values.rounds),
  libtorrent: settings as readonly LibtorrentSetting[],
  folder: values.folder,
  tell,
});

const rows: Row[] = [];
const part = async (name: string, run: () => Promise<readonly Row[]>): Promise<void> => {
  const isWanted =
    only === undefined || only.includes(name) || (PARTS[name] ?? []).some((figure) => only.includes(figure));
  if (!isWanted) return;
  tell(name);
  const started = performance.now();
  try {
    rows.push(...(await run()));
  } catch (error) {
    // The other figures are worth having.
    process.exitCode = 1;
    tell(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  tell(`${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
};

await part('crowd16', () => race.crowd16(large));
await part('crowd8', () => race.crowd8(small));
await part('staggered16', () => race.staggered16(large));
await part('leavers16', () => race.leavers16(large));
await part('slow16', () => race.slow16(large));
await part('liars16', () => race.liars16(large));
await part('pair', () => race.pair(wholeNumber('mib', values.mib ?? String(PAIR_MIB)), chunkKib));

console.log(table(rows));
if ([values.peers, values.mbit, values.mib].some((flag) => flag !== undefined))
  console.log('\nWith sizes of your own: not those that the names say.');
if (values.json !== undefined) {
  const figures = rows.map(({ detail: _, ...figure }): Figure => figure);
  await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  return refuse(`--${flag} ${text}: give a whole number above 0.`);
}

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
