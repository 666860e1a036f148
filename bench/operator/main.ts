import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { converge } from './converge.ts';
import { failover } from './failover.ts';
import { type Figure, type FigureName, type Row, table } from './figures.ts';
import { settledHerd } from './herd.ts';
import { large } from './large.ts';
import { latency } from './latency.ts';
import { reports } from './reports.ts';

const HELP = `What the operator costs and how fast it is, before a real kube-apiserver and etcd on this machine.

    npm run bench:operator -- [--json FILE] [--only NAME[,NAME]] [--nodes N] [--rounds N]

  --json FILE   write the figures there too, as a JSON array
  --only NAMES  only these parts or figures, with commas
  --nodes N     at most so many validators in each part (default: as many as each figure says)
  --rounds N    rounds of what is repeated (default 3)
  --help        this text

Parts and their figures:
  converge  converge1000_vs_bare
  latency   event_to_write_p99_ms
  failover  failover_crash_s, failover_term_s
  reports   reports1000_cpu_pct
  large     converge10000_s, rss_10000_mb, max_wait_s_while_growing, steady_writes_per_min, cold_restart_writes, cold_restart_s

Examples:
  npm run bench:operator -- --json figures.json        everything, about 20 minutes
  npm run bench:operator -- --only failover --rounds 5
  npm run bench:operator -- --nodes 50 --rounds 1      a small run of everything, to see that it works`;

const PARTS: Readonly<Record<string, readonly FigureName[]>> = {
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
};

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
const only = values.only?.split(',');
for (const name of only ?? []) {
  if (
    name in PARTS ||
    Object.values(PARTS)
      .flat()
      .includes(name as FigureName)
  )
    continue;
  console.error(`There is no part or figure "${name}". See --help.`);
  process.exit(2);
}
const most = wholeNumber('nodes', values.nodes ?? '1000000');
const rounds = wholeNumber('rounds', values.rounds);
const size = (count: number): number => Math.min(count, most);
const isWanted = (part: string): boolean =>
  only === undefined || only.includes(part) || (PARTS[part] ?? []).some((name) => only.includes(name));
const tell = (line: string): void => console.error(line);

tell('building');
execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
const rows: Row[] = [];
const part = async (name: string, run: () => Promise<readonly Row[]>): Promise<void> => {
  if (!isWanted(name)) return;
  tell(name);
  const started = performance.now();
  try {
    rows.push(...(await run()));
  } catch (error) {
    // The other figures are worth having.
    process.exitCode = 1;
    tell(`${name} failed: ${String(error)}`);
  }
  tell(`${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
};

await part('converge', () => converge(size(1000), rounds, tell));
if (isWanted('latency') || isWanted('failover')) {
  tell('making validators for latency and failover');
  const herd = await settledHerd(size(2000));
  try {
    await part('latency', () => latency(herd, tell));
    await part('failover', () => failover(herd, rounds, tell));
  } finally {
    await herd.close();
  }
}
await part('reports', () => reports(size(1000), tell));
await part('large', () => large(size(10_000), rounds, tell));

console.log(table(rows));
if (values.nodes !== undefined)
  console.log(`\nWith at most ${most} validators a part: not the sizes that the names say.`);
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
