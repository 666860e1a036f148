import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import { Client } from '../../../src/kube/index.ts';
import { type Access, startControlPlane } from '../../apiserver/control-plane.ts';
import { installKinds } from '../../apiserver/harness.ts';
import { History } from './history.ts';
import { Milestones } from './milestones.ts';
import { type Replay, replay } from './replay.ts';
import { STORY } from './story.ts';

const HELP = `Kills the operator after every single write of a fleet's whole life, and looks whether it matters.

Usage: npm run test:crash -- [--from N] [--to N] [--parallel P]

  --from N      first write to kill after (default 1)
  --to N        last write to kill after (default: until the story has no further one)
  --parallel P  replays side by side, each in namespaces of its own (default: 3 a core)
  --help        this text

Examples:
  npm run test:crash                         every write
  npm run test:crash -- --from 40 --to 40    the 40th one alone
  npm run test:crash -- --to 20 --parallel 4

Ends with 1 where any replay ends otherwise than the undisturbed one, or an invariant is broken on the way.
`;

const wholeNumber = (name: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: give a whole number from 1`);
  return value;
};

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    parallel: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const from = wholeNumber('from', values.from, 1);
const to = wholeNumber('to', values.to, Number.POSITIVE_INFINITY);
const parallel = wholeNumber('parallel', values.parallel, 3 * availableParallelism());

const controlPlane = await startControlPlane();
process.once('SIGINT', () => void controlPlane.stop().finally(() => process.exit(130)));
process.once('SIGTERM', () => void controlPlane.stop().finally(() => process.exit(143)));
try {
  process.exitCode = await run(controlPlane);
} finally {
  await controlPlane.stop();
}

/** @returns exit code */
async function run(access: Access): Promise<number> {
  const began = Date.now();
  await installKinds(access);
  const config = new KubeConfig();
  config.loadFromFile(access.kubeconfig);
  const client = Client.from(config);
  const history = await History.begin(client);
  const story = STORY;
  const milestones = new Milestones();
  const whole = replay({ access, history, story, milestones });
  whole.then((done) => say('undisturbed', done));
  let next = from;
  let isOver = false;
  let prefixes = 0;
  let bad = 0;
  const work = async (): Promise<void> => {
    while (!isOver && next <= to) {
      const killAfter = next++;
      const done = await replay({ access, history, story, killAfter, milestones });
      if (done.killedAfter === undefined && done.problems.length === 0) isOver = true;
      else prefixes += 1;
      if (done.problems.length > 0) bad += 1;
      say(String(killAfter), done);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  const undisturbed = await whole;
  if (undisturbed.problems.length > 0) bad += 1;
  await history.end();
  await client.close();
  const seconds = Math.round((Date.now() - began) / 1000);
  process.stdout.write(
    `${undisturbed.writes} writes in the undisturbed story, ${prefixes} prefixes replayed, ` +
      `${bad} of them with differences, in ${Math.floor(seconds / 60)} min ${seconds % 60} s\n`,
  );
  return bad === 0 ? 0 : 1;
}

function say(name: string, { killedAfter, killedIn, writes, problems, seconds }: Replay): void {
  const what =
    killedAfter === undefined ? `not killed, ${writes} writes` : `killed after ${killedAfter} in "${killedIn}"`;
  const how = problems.length === 0 ? 'same' : 'DIFFERENT';
  process.stdout.write(`${name.padStart(5)}  ${how}  ${seconds.toFixed(0)} s  ${what}\n`);
  for (const problem of problems) process.stdout.write(`       ${problem}\n`);
}
