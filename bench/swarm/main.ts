import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { writeFigures } from '../figures.ts';
import { listed, type PartFigures, Parts, refuse, wholeNumber } from '../parts.ts';
import { LIBTORRENT_SETTINGS, type LibtorrentSetting } from './engines.ts';
import { type FigureName, type Row, table } from './figures.ts';
import { Race } from './race.ts';
import type { Size } from './scenarios.ts';

const PARTS = {
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
} as const satisfies PartFigures<FigureName>;

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
${listed(PARTS)}

Examples:
  npm run bench:swarm -- --json figures.json --rounds 1             everything once
  npm run bench:swarm -- --only eff_median_16 --libtorrent none     ours alone
  npm run bench:swarm -- --only crowd8,pair --rounds 5
  npm run bench:swarm -- --only crowd16 --peers 4 --mbit 50 --mib 16 --rounds 1    to see that it works`;

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

const tell = (line: string): void => console.error(line);
const parts = new Parts<keyof typeof PARTS, Row>(PARTS, values.only, tell);
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
const race = new Race({
  rounds: wholeNumber('rounds', values.rounds),
  libtorrent: settings as readonly LibtorrentSetting[],
  folder: values.folder,
  tell,
});

await parts.run('crowd16', () => race.crowd16(large));
await parts.run('crowd8', () => race.crowd8(small));
await parts.run('staggered16', () => race.staggered16(large));
await parts.run('leavers16', () => race.leavers16(large));
await parts.run('slow16', () => race.slow16(large));
await parts.run('liars16', () => race.liars16(large));
await parts.run('pair', () => race.pair(wholeNumber('mib', values.mib ?? String(PAIR_MIB)), chunkKib));

console.log(table(parts.rows));
if ([values.peers, values.mbit, values.mib].some((flag) => flag !== undefined))
  console.log('\nWith sizes of your own: not those that the names say.');
if (values.json !== undefined) await writeFigures(values.json, parts.rows);
