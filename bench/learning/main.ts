import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Figure, type FigureName, type Row, table } from './figures.ts';
import { byz33, byzantine, cycles, fedavg, int8, type Settings } from './measures.ts';
import { PROCESS_FLAGS, PROCESS_HELP, processFlags } from './processes/flags.ts';
import { processes } from './processes/measures.ts';
import { stragglers } from './stragglers.ts';

const HELP = `How well a fleet learns: the classes that run in the pods, over a clock and a network that are made up; and
validators in processes of their own.

    npm run bench:learning -- [--json FILE] [--only NAME[,NAME]] [--nodes N] [--seed N] [--data FILE.csv --label COLUMN]

  --json FILE     write the figures there too, as a JSON array
  --only NAMES    only these parts or figures, with commas (default: all but byzantine)
  --nodes N       at most so many validators in each part
  --seed N        of everything that is drawn (default 1)
  --data FILE     a table of yours instead of the bundled ones; a tenth of its rows is held out
  --label COLUMN  name of the label's column in it, or its number (default: last)
  --help          this text

${PROCESS_HELP}

Parts and their figures:
  cycles     mu_err_10, mu_err_50, mu_err_100, mu_err_200, mu_af_err_200, mu_af_cost_200
  fedavg     fedavg_gap_iid_100, fedavg_gap_single_100
  int8       int8_cost
  byz33      byz33_cost_iid
  stragglers straggler_steps_lost, straggler_error_cost
  processes  utilisation_pct, mnist_cnn_gap_to_central, mnist_mlp_gap_to_central, digits_cnn_gap_to_central,
             digits_mlp_gap_to_central, digits_mlp_accuracy, digits_mlp_seconds, digits_mlp_mb
  byzantine  the whole table of defences and attackers; takes long, gives no figure

Examples:
  npm run bench:learning -- --json figures.json
  npm run bench:learning -- --only mu_err_10,int8
  npm run bench:learning -- --nodes 20              to see that it works
  npm run bench:learning -- --only processes --json figures.json
  npm run bench:learning -- --only processes --runs digits/mlp/iid --updates 20 --nodes 2 --flower none`;

interface Part {
  readonly figures: readonly FigureName[];
  readonly run: (settings: Settings) => Promise<readonly Row[]>;
}
const PARTS: Readonly<Record<string, Part>> = {
  cycles: {
    figures: ['mu_err_10', 'mu_err_50', 'mu_err_100', 'mu_err_200', 'mu_af_err_200', 'mu_af_cost_200'],
    run: cycles,
  },
  fedavg: { figures: ['fedavg_gap_iid_100', 'fedavg_gap_single_100'], run: fedavg },
  int8: { figures: ['int8_cost'], run: int8 },
  byz33: { figures: ['byz33_cost_iid'], run: byz33 },
  stragglers: { figures: ['straggler_steps_lost', 'straggler_error_cost'], run: stragglers },
  processes: {
    figures: [
      'utilisation_pct',
      'mnist_cnn_gap_to_central',
      'mnist_mlp_gap_to_central',
      'digits_cnn_gap_to_central',
      'digits_mlp_gap_to_central',
      'digits_mlp_accuracy',
      'digits_mlp_seconds',
      'digits_mlp_mb',
    ],
    run: ({ nodes, tell }) => processes({ nodes, tell, only: wanted, ...processFlags(values) }),
  },
  byzantine: { figures: [], run: byzantine },
};

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    nodes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    data: { type: 'string' },
    label: { type: 'string' },
    ...PROCESS_FLAGS,
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const wanted = new Set(values.only?.split(','));
for (const name of wanted) {
  if (name in PARTS || Object.values(PARTS).some(({ figures }) => figures.some((figure) => figure === name))) continue;
  console.error(`There is no part or figure "${name}". See --help.`);
  process.exit(2);
}
const isWanted = (name: string, { figures }: Part): boolean =>
  wanted.size === 0 ? figures.length > 0 : wanted.has(name) || figures.some((figure) => wanted.has(figure));

const settings: Settings = {
  nodes: wholeNumber('nodes', values.nodes ?? '1000000'),
  seed: wholeNumber('seed', values.seed),
  tell: (line) => console.error(line),
  ...(values.data === undefined ? {} : { data: values.data }),
  ...(values.label === undefined ? {} : { label: values.label }),
};
const rows: Row[] = [];
for (const [name, part] of Object.entries(PARTS)) {
  if (!isWanted(name, part)) continue;
  console.error(name);
  const started = performance.now();
  rows.push(...(await part.run(settings)));
  console.error(`${name} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
console.log(table(rows));
if (values.nodes !== undefined) console.log(`\nWith at most ${values.nodes} validators: not the sizes that are meant.`);
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
