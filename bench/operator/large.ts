import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION } from '../../src/api/index.ts';
import { ValidatorNode } from '../../src/operator/kinds.ts';
import { median, round } from '../figures.ts';
import type { Row } from './figures.ts';
import type { NodeWatch } from './node-watch.ts';
import type { OperatorProcess } from './operator.ts';
import { Stage } from './stage.ts';
import { total, type Writes, without, writesBetween, writesSeen, writesText } from './writes.ts';

const NAMESPACE = 'large';
/** Validators of a fleet, which is a network of its own: a network's charter has to fit into one ConfigMap. */
const FLEET = 500;
/** Ten minutes on two quiet cores; a machine that others use takes several times as long. */
const LIMIT_MS = 3_600_000;
const TELL_MS = 60_000;
/** After 30 s without a report the operator says so in every status; then all is said. ms */
const SILENCE_MS = 33_000;
const STEADY_MS = 60_000;

/** One operator with so many validators: time to make them, memory, a fleet that grows, quiet, and cold restarts. */
export async function large(count: number, rounds: number, tell: (line: string) => void): Promise<readonly Row[]> {
  const stage = await Stage.open([NAMESPACE]);
  const watch = stage.watch(NAMESPACE);
  try {
    let operator = stage.operator('operator', [NAMESPACE]);
    await operator.untilIdle();
    const fleets = Math.max(1, Math.ceil(count / FLEET));
    const size = Math.ceil(count / fleets);
    const all = fleets * size;

    const started = performance.now();
    for (let at = 0; at < fleets; at += 1) await createFleet(stage, `fleet-${at}`, size);
    const progress = setInterval(() => tell(`  ${watch.ready} of ${all} validators are ready`), TELL_MS);
    const ready = await watch.untilReady(all, LIMIT_MS).finally(() => clearInterval(progress));
    const seconds = (ready - started) / 1000;
    const cpu = await operator.cpu();
    const requests = await operator.requests('writes');
    tell(
      `  ${all} validators in ${seconds.toFixed(0)} s; operator: ${cpu.toFixed(0)} s CPU, ${await memoryText(operator)}`,
    );
    const made: Row = {
      name: 'converge10000_s',
      value: round(seconds),
      unit: 's',
      detail:
        `${all} validators, ${fleets} fleets of ${size}: ${(all / seconds).toFixed(0)} validators/s, ` +
        `${(requests / all).toFixed(2)} writes and ${((cpu * 1000) / all).toFixed(1)} ms CPU of the operator a validator`,
    };

    await settle(operator);
    await operator.stop();
    operator = stage.operator('grower', [NAMESPACE]);
    await settle(operator);
    const grown = await grow(stage, operator, watch, all, size);
    tell(`  grown by ${size}: no key waited longer than ${grown.value} s`);
    await settle(operator);
    const steady = await steadyState(stage, operator);
    tell(`  steady: ${steady.value} writes/min; ${await memoryText(operator)}`);
    const { now, peak } = await operator.memory();
    const rss: Row = {
      name: 'rss_10000_mb',
      value: round(now),
      unit: 'MB',
      detail: `settled, with ${all + size} validators; peak ${peak.toFixed(0)} MB since its cold start, a fleet's growth by ${size} included; ${operator.limited ? 'in a memory cgroup of 1 GiB, as its pod' : 'without the memory limit of its pod'}`,
    };
    await operator.stop();
    const restarts = await restart(stage, watch, all + size, rounds, tell);
    return [made, rss, grown, steady, ...restarts];
  } finally {
    await watch.stop();
    await stage.close();
  }
}

const memoryText = async (operator: OperatorProcess): Promise<string> => {
  const { now, peak } = await operator.memory();
  return `RSS ${now.toFixed(0)} MB, peak ${peak.toFixed(0)} MB`;
};

/** Waits until the operator has said all that it has to say. */
async function settle(operator: OperatorProcess): Promise<void> {
  await operator.untilIdle(500, LIMIT_MS);
  await sleep(SILENCE_MS);
  await operator.untilIdle(500, LIMIT_MS);
}

async function createFleet(stage: Stage, name: string, replicas: number): Promise<void> {
  const path = `/apis/${API_VERSION}/namespaces/${NAMESPACE}/validatorfleets`;
  const { code, body } = await stage.api.call('POST', path, {
    apiVersion: API_VERSION,
    kind: 'ValidatorFleet',
    metadata: { name },
    spec: { replicas, template: { spec: { network: name } } },
  });
  if (code !== 201) throw new Error(`fleet ${name}: ${code} ${body?.message}`);
}

/** One fleet doubles. Nobody's key may wait long in any queue meanwhile. */
async function grow(stage: Stage, operator: OperatorProcess, watch: NodeWatch, all: number, by: number): Promise<Row> {
  const histogram = 'workqueue_queue_duration_seconds_bucket';
  const waits = async (): Promise<ReadonlyMap<number, number>> => {
    const buckets = new Map<number, number>();
    for (const { labels, value } of await operator.samples(histogram)) {
      const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
      buckets.set(le, (buckets.get(le) ?? 0) + value);
    }
    return buckets;
  };
  const before = await waits();
  const path = `/apis/${API_VERSION}/namespaces/${NAMESPACE}/validatorfleets/fleet-0`;
  const started = performance.now();
  await stage.api.call('PATCH', path, { spec: { replicas: 2 * by } }, 'application/merge-patch+json');
  const ended = await watch.untilReady(all + by, LIMIT_MS);
  const after = await waits();
  const within = [...after].map(([le, seen]) => [le, seen - (before.get(le) ?? 0)] as const).sort(([a], [b]) => a - b);
  const keys = within.at(-1)?.[1] ?? 0;
  const bound = (part: number): number => within.find(([, seen]) => seen >= part * keys)?.[0] ?? Number.NaN;
  return {
    name: 'max_wait_s_while_growing',
    value: bound(1),
    unit: 's',
    detail:
      `at most so long waited each of ${keys} keys of all queues (bound of the histogram's bucket); p50 <= ${bound(0.5)}, ` +
      `p95 <= ${bound(0.95)}, p99 <= ${bound(0.99)} s; ${by} more validators in ${((ended - started) / 1000).toFixed(1)} s`,
  };
}

async function steadyState(stage: Stage, operator: OperatorProcess): Promise<Row> {
  const [before, cpu] = [await writesSeen(stage.api), await operator.cpu()];
  await sleep(STEADY_MS);
  const writes = writesBetween(before, await writesSeen(stage.api));
  const used = (await operator.cpu()) - cpu;
  return {
    name: 'steady_writes_per_min',
    value: total(writes),
    unit: 'writes/min',
    detail: `besides the Lease's renewals: ${writesText(writes)}; ${((100 * used * 1000) / STEADY_MS).toFixed(1)} % of a core`,
  };
}

/** Starts the operator anew while nothing has changed; in the last rounds a person changes something meanwhile. */
async function restart(
  stage: Stage,
  watch: NodeWatch,
  all: number,
  rounds: number,
  tell: (line: string) => void,
): Promise<readonly Row[]> {
  const [synced, drained, jumps]: [number[], number[], number[]] = [[], [], []];
  let writes: Writes = new Map();
  let events = 0;
  for (let turn = 0; turn < 2 * rounds; turn += 1) {
    const withPerson = turn >= rounds;
    const before = await writesSeen(stage.api);
    const operator = stage.operator(`restarted-${turn}`, [NAMESPACE]);
    await operator.untilReady();
    const ready = (performance.now() - operator.startedAt) / 1000;
    await operator.untilLeading();
    const person = withPerson ? await personsChange(stage, watch) : undefined;
    await operator.untilIdle(20);
    const idle = (performance.now() - operator.startedAt) / 1000;
    tell(
      `  restart: ready ${ready.toFixed(1)} s, drained ${idle.toFixed(1)} s, ${await memoryText(operator)}${person === undefined ? '' : `, a person waited ${person.toFixed(0)} ms`}`,
    );
    if (person === undefined) {
      await sleep(SILENCE_MS);
      await operator.untilIdle(200);
      const seen = writesBetween(before, await writesSeen(stage.api));
      events += seen.get('POST events') ?? 0;
      writes = new Map([...writes, ...without(seen, 'events')].map(([what, n]) => [what, (writes.get(what) ?? 0) + n]));
      synced.push(ready);
      drained.push(idle);
    } else jumps.push(person);
    await operator.stop();
  }
  return [
    {
      name: 'cold_restart_writes',
      value: total(writes),
      unit: 'writes',
      detail: `in ${rounds} restarts with ${all} validators unchanged, until ${SILENCE_MS / 1000} s after the queues were empty; besides Lease and ${events} Events: ${writesText(writes)}`,
    },
    {
      name: 'cold_restart_s',
      value: round(median(synced)),
      unit: 's',
      detail:
        `from the start of the process until its caches are complete (readyz); it led, had looked at all of ${all} and every ` +
        `queue was empty after ${median(drained).toFixed(1)} s; a person's change during the start was answered after ` +
        `${jumps.map((ms) => ms.toFixed(0)).join(', ')} ms; medians of ${rounds}`,
    },
  ];
}

/** @returns ms until the operator's first write for it is seen */
async function personsChange(stage: Stage, watch: NodeWatch): Promise<number> {
  const name = 'fleet-0-7';
  const { metadata, spec } = await stage.client.get(ValidatorNode, { namespace: NAMESPACE, name });
  const changed = await stage.client.patch(
    ValidatorNode,
    { namespace: NAMESPACE, name },
    { spec: { paused: !spec.paused } },
  );
  const { generation = 0 } = changed.metadata;
  if (generation === metadata.generation) throw new Error('nothing was changed');
  const asked = performance.now();
  const answered = await watch.untilNode(`the change of ${name} is answered`, 60_000, (node) => {
    return node.metadata.name === name && (node.status?.observedGeneration ?? 0) >= generation;
  });
  return answered - asked;
}
