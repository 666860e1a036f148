import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeFigures } from '../figures.ts';
import { listed, type PartFigures, Parts, wholeNumber } from '../parts.ts';
import { converge } from './converge.ts';
import { failover } from './failover.ts';
import { type FigureName, type Row, table } from './figures.ts';
import { settledHerd } from './herd.ts';
import { large } from './large.ts';
import { latency } from './latency.ts';
import { reports } from './reports.ts';

const PARTS = {
  converge: ['converge1000_vs_bare'],
  latency: ['event_to_write_p99_ms'],
  failover: ['failover_crash_s', 'failover_term_s'],
  reports: ['reports1000_cpu_pct'],
  large: [
    'converge10000_s',
    'rss_10000_mb',
    'max_wait_s_while_growing',
    'steady_writes_per_min',
    'cold_restart_writes',
    'cold_restart_s',
  ],
} as const satisfies PartFigures<FigureName>;

const HELP = `What the operator costs and how fast it is, before a real kube-apiserver and etcd on this machine.

    npm run bench:operator -- [--json FILE] [--only NAME[,NAME]] [--nodes N] [--rounds N]

  --json FILE   write the figures there too, as a JSON array
  --only NAMES  only these parts or figures, with commas
  --nodes N     at most so many validators in each part (default: as many as each figure says)
  --rounds N    rounds of what is repeated (default 3)
  --help        this text

Parts and their figures:
${listed(PARTS)}

Examples:
  npm run bench:operator -- --json figures.json        everything, about 20 minutes
  npm run bench:operator -- --only failover --rounds 5
  npm run bench:operator -- --nodes 50 --rounds 1      a small run of everything, to see that it works`;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    nodes: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const root = join(import.meta.dirname, '..', '..');
const most = wholeNumber('nodes', values.nodes ?? '1000000');
const rounds = wholeNumber('rounds', values.rounds);
const size = (count: number): number => Math.min(count, most);
const tell = (line: string): void => console.error(line);
const parts = new Parts<keyof typeof PARTS, Row>(PARTS, values.only, tell);

tell('building');
execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

await parts.run('converge', () => converge(size(1000), rounds, tell));
if (parts.isWanted('latency') || parts.isWanted('failover')) {
  tell('making validators for latency and failover');
  const herd = await settledHerd(size(2000));
  try {
    await parts.run('latency', () => latency(herd, tell));
    await parts.run('failover', () => failover(herd, rounds, tell));
  } finally {
    await herd.close();
  }
}
await parts.run('reports', () => reports(size(1000), tell));
await parts.run('large', () => large(size(10_000), rounds, tell));

console.log(table(parts.rows));
if (values.nodes !== undefined)
  console.log(`\nWith at most ${most} validators a part: not the sizes that the names say.`);
if (values.json !== undefined) await writeFigures(values.json, parts.rows);
