import { parseArgs } from 'node:util';
import type { Random } from '../../src/kube/index.ts';
import { seeded } from '../../src/learning/random.ts';
import { type ControlPlane, startControlPlane } from '../apiserver/control-plane.ts';
import { installKinds } from '../apiserver/harness.ts';
import { type Begin, faults } from './faults.ts';
import { play, SHORT } from './play.ts';

const HELP = `Mixes of faults between the operator and a real kube-apiserver and etcd.

In each mix people make, change, edit, grow and shrink a fleet, while two or three faults go on at the same time. Once
they are over, every store of the operator is compared with the server, and the fleet's children with those of a fleet
that nothing happened to.

  npm run test:fault -- --seed 7 --minutes 10    mixes of seed 7, for ten minutes
  npm run test:fault -- --seed 7 --mix 4         mix 4 of seed 7 alone
  npm run test:fault -- --mix 0 --fault 'half-open watches' --fault '429 for writes'

  --seed N        chooses the mixes (default 1)
  --minutes M     begins no more mixes after so long (default 5)
  --mix N         that mix only
  --fault NAME    in place of those of the mix; may be given more than once. A wrong name lists them all
  --parallel N    mixes at a time (default 3)
  --help

Exits 1 where anything was missed, leaked, doubled, or did not come to rest. KUBEBUILDER_ASSETS names the folder with
kube-apiserver and etcd.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '5' },
    mix: { type: 'string' },
    fault: { type: 'string', multiple: true, default: [] },
    parallel: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});

function whole(name: 'seed' | 'minutes' | 'mix' | 'parallel'): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} ${values[name]} is no whole number\n`);
  process.exit(2);
}

/** What a mix is: all of it follows from seed and number. */
interface Mix {
  readonly number: number;
  readonly names: readonly string[];
  readonly awayMs: number;
  readonly random: Random;
}

function mixOf(seed: number, number: number): Mix {
  const random = seeded(seed * 1_000_003 + number);
  const left = Object.keys(faults);
  const chosen = Array.from({ length: 2 + Math.floor(random() * 2) }, () =>
    left.splice(Math.floor(random() * left.length), 1),
  ).flat();
  const names = values.fault.length > 0 ? values.fault : chosen;
  const unknown = names.filter((name) => faults[name] === undefined);
  if (unknown.length > 0) {
    process.stderr.write(
      `there is no fault ${unknown.join(', ')}. There are:\n  ${Object.keys(faults).join('\n  ')}\n`,
    );
    process.exit(2);
  }
  return { number, names, awayMs: random() < 0.2 ? 60_000 : 8_000, random };
}

const started = performance.now();
const say = (text: string): void => {
  process.stdout.write(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
};

/** The server is restarted once, a while after the round has begun. */
function restart(plane: ControlPlane, afterMs: number): { readonly begin: Begin; readonly ended: () => Promise<void> } {
  const going = (async () => {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    say('the API server is restarted');
    await plane.stopApiServer();
    await plane.startApiServer();
    say('the API server is back');
  })();
  return { begin: () => () => going, ended: () => going };
}

/** Answers how many mixes went wrong. */
async function main(plane: ControlPlane): Promise<number> {
  const seed = whole('seed');
  const until = started + whole('minutes') * 60_000;
  const parallel = values.mix === undefined ? whole('parallel') : 1;
  const totals = { mixes: 0, failed: 0, requests: 0, befallen: 0 };
  const init = { access: plane, chapterMs: 240_000, times: SHORT };
  const undisturbed = await play([], { ...init, random: seeded(seed), awayMs: 0 });
  if (undisturbed.problems.length > 0) throw new Error(`undisturbed: ${undisturbed.problems.join('; ')}`);
  say(`undisturbed: ${undisturbed.inventory.length} objects`);
  const one = async ({ number, names, awayMs, random }: Mix, more: readonly Begin[]): Promise<void> => {
    say(`mix ${number}: ${names.join(' + ')}${awayMs > 10_000 ? ', long' : ''}`);
    const begins = names.map((name) => faults[name] as Begin);
    const onStep = (what: string): void => say(`mix ${number}: ${what}`);
    const { problems, inventory, log } = await play([...begins, ...more], { ...init, random, awayMs, onStep });
    const leaked = inventory.filter((line) => !undisturbed.inventory.includes(line));
    const missing = undisturbed.inventory.filter((line) => !inventory.includes(line));
    const wrong = [
      ...problems,
      ...leaked.map((line) => `too much: ${line}`),
      ...missing.map((line) => `missing: ${line}`),
    ];
    totals.mixes += 1;
    totals.requests += log.length;
    totals.befallen += log.reduce((sum, { faults: of }) => sum + of.length, 0);
    if (wrong.length > 0) totals.failed += 1;
    say(`mix ${number}: ${wrong.length === 0 ? 'fine' : `WRONG (replay: --seed ${seed} --mix ${number})`}`);
    for (const line of wrong) say(`mix ${number}:   ${line}`);
  };
  const first = values.mix === undefined ? 0 : whole('mix');
  for (let next = first; next === first || (values.mix === undefined && performance.now() < until); next += parallel) {
    const mixes = Array.from({ length: parallel }, (_, at) => mixOf(seed, next + at));
    const chance = seeded(seed + Math.floor(next / whole('parallel')) * 7_919);
    const away = chance() < 0.3 ? restart(plane, 2_000 + chance() * 10_000) : undefined;
    await Promise.all(mixes.map((mix) => one(mix, away === undefined ? [] : [away.begin])));
    await away?.ended();
  }
  const { mixes, failed, requests, befallen } = totals;
  say(`seed ${seed}: ${mixes} mixes, ${failed} wrong; ${requests} requests, ${befallen} faults befell them`);
  return failed;
}

if (values.help) {
  process.stdout.write(HELP);
} else {
  const plane = await startControlPlane();
  const leave = (): void => void plane.stop().finally(() => process.exit(130));
  process.once('SIGINT', leave).once('SIGTERM', leave);
  let crashes = 0;
  process.on('unhandledRejection', (error) => {
    crashes += 1;
    say(`an exception that nobody caught: ${error instanceof Error ? error.stack : String(error)}`);
  });
  try {
    await installKinds(plane);
    process.exitCode = (await main(plane)) + crashes === 0 ? 0 : 1;
  } finally {
    await plane.stop();
  }
}
