import { setTimeout as sleep } from 'node:timers/promises';
import { ValidatorNode } from '../../src/operator/kinds.ts';
import { median, round } from '../figures.ts';
import type { Row } from './figures.ts';
import { answers, change, type Herd, NAMESPACE } from './herd.ts';
import type { OperatorProcess } from './operator.ts';

const LIMIT_MS = 60_000;

/** Two operators; the leader goes. Until the first write of the other, for a change that a person made at that moment. */
export async function failover(herd: Herd, rounds: number, tell: (line: string) => void): Promise<readonly Row[]> {
  const { stage } = herd;
  let leader = herd.operator;
  const times = { SIGKILL: [] as number[], SIGTERM: [] as number[] };
  let made = 0;
  for (let turn = 0; turn < rounds; turn += 1) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      made += 1;
      const next: OperatorProcess = stage.operator(`operator-${made}`, [NAMESPACE]);
      await next.untilReady();
      // Anywhere between two renewals of the lease.
      await sleep(2000 * Math.random());
      const seconds = await replaced(herd, leader, signal, made);
      times[signal].push(seconds);
      tell(`  ${signal}: ${seconds.toFixed(2)} s`);
      await leader.stop();
      leader = next;
      await leader.untilIdle(200);
    }
  }
  const all = (of: readonly number[]): string => of.map((one) => one.toFixed(2)).join(', ');
  const until = `until the other's first write, with ${herd.names.length} validators`;
  return [
    {
      name: 'failover_crash_s',
      value: round(Math.max(...times.SIGKILL)),
      unit: 's',
      detail: `longest of ${rounds} from SIGKILL of the leader ${until}; median ${median(times.SIGKILL).toFixed(2)} (${all(times.SIGKILL)})`,
    },
    {
      name: 'failover_term_s',
      value: round(Math.max(...times.SIGTERM)),
      unit: 's',
      detail: `longest of ${rounds} from SIGTERM ${until}; median ${median(times.SIGTERM).toFixed(2)} (${all(times.SIGTERM)})`,
    },
  ];
}

/** @returns s from the signal until a change made right after it is answered */
async function replaced(
  herd: Herd,
  leader: OperatorProcess,
  signal: 'SIGTERM' | 'SIGKILL',
  turn: number,
): Promise<number> {
  const name = herd.names[turn] ?? '';
  const { spec } = await herd.stage.client.get(ValidatorNode, { namespace: NAMESPACE, name });
  const retain = spec.storage.retain === 'Retain' ? 'Delete' : 'Retain';
  let generation = Number.POSITIVE_INFINITY;
  const answered = herd.watch.untilNode(`the change of ${name} is answered`, LIMIT_MS, (node) => {
    return node.metadata.name === name && answers(node, generation);
  });
  const gone = leader.signal(signal);
  // The old leader may not answer any more, and does not: it has stopped taking keys.
  await sleep(20);
  generation = (await change(herd, name, retain)).metadata.generation ?? 0;
  return ((await answered) - gone) / 1000;
}
