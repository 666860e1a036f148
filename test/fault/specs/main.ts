import { parseArgs } from 'node:util';
import { startControlPlane } from '../../apiserver/control-plane.ts';
import { connect, installKinds } from '../../apiserver/harness.ts';
import { run, type Totals } from './run.ts';

const HELP = `Random specs against the operator, on a real kube-apiserver and etcd.

Each step changes fields of what people write (and of what the operator made) to valid values, boundaries and nonsense,
waits until the system is at rest, judges it, goes back, and judges whether all is as before.

  npm run test:specs -- --seed 7 --steps 20     twenty steps from seed 7
  npm run test:specs -- --seed 7 --step 13      step 13 of seed 7 alone, from the small world
  npm run test:specs -- --seed 1 --seeds 12 --parallel 4 --steps 30 --keep-going

  --seed N       first seed (default 1)
  --seeds N      how many seeds, one world each (default 1)
  --steps M      steps a seed (default 20)
  --step N       that one step only
  --parallel N   worlds at a time (default 1)
  --keep-going   go on after a failed step
  --help

Exits 1 where a step failed. KUBEBUILDER_ASSETS names the folder with kube-apiserver and etcd.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '20' },
    step: { type: 'string' },
    parallel: { type: 'string', default: '1' },
    'keep-going': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function whole(name: 'seed' | 'seeds' | 'steps' | 'step' | 'parallel'): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} ${values[name]} is no whole number\n`);
  process.exit(2);
}

/** Answers whether every step was fine. */
async function main(): Promise<boolean> {
  const first = whole('seed');
  const seeds = Array.from({ length: whole('seeds') }, (_, index) => first + index);
  const steps =
    values.step === undefined ? Array.from({ length: whole('steps') }, (_, index) => index) : [whole('step')];
  const controlPlane = await startControlPlane();
  const leave = (): void => void controlPlane.stop().finally(() => process.exit(130));
  process.once('SIGINT', leave).once('SIGTERM', leave);
  let crashes = 0;
  process.on('unhandledRejection', (error) => {
    crashes += 1;
    process.stdout.write(`UNHANDLED REJECTION: ${error instanceof Error ? error.stack : String(error)}\n`);
  });
  await installKinds(controlPlane);
  const began = Date.now();
  const all: Totals[] = [];
  let broken = 0;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const worker = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      try {
        // Each world closes the connections that it was given.
        all.push(await run(connect(controlPlane), { seed, steps, keepGoing: values['keep-going'], say }));
      } catch (error) {
        broken += 1;
        say(`seed ${seed} BROKE OFF: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, whole('parallel')) }, worker));
  await controlPlane.stop();
  const sum = (of: (totals: Totals) => number): number => all.reduce((total, one) => total + of(one), 0);
  const failed = sum((totals) => totals.failed.length);
  say(
    `${sum(({ steps: taken }) => taken)} steps over ${all.length} seeds: ${sum(({ mutations }) => mutations)} mutations, ` +
      `${sum(({ refused }) => refused)} refused, ${failed} steps failed, ${broken} worlds broke off, ${crashes} unhandled rejections, ` +
      `${Math.round((Date.now() - began) / 1000)} s`,
  );
  return failed + broken + crashes === 0;
}

if (values.help) process.stdout.write(HELP);
else process.exitCode = (await main()) ? 0 : 1;
