import { setTimeout as sleep } from 'node:timers/promises';
import { CHARTER_FILE, findCondition, NODE_CONDITIONS } from '../../src/api/index.ts';
import { ConfigMap } from '../../src/kube/index.ts';
import { StakeKeyReservation, ValidatorNode } from '../../src/operator/kinds.ts';
import { median, round } from '../figures.ts';
import type { Row } from './figures.ts';
import { Stage } from './stage.ts';
import type { Protocol, Shape } from './writer.ts';
import { total, type Writes, without, writesBetween, writesSeen, writesText } from './writes.ts';

const NETWORK = 'flock';
/** As many validators under way at once as the operator has workers for them. */
const AT_ONCE = 32;
const LIMIT_MS = 300_000;
/** After it has listened for 30 s in vain, the operator says that nobody reports; that belongs to no round. ms */
const SILENCE_MS = 33_000;
const PROTOCOLS: readonly Protocol[] = ['HTTP/1.1, 32 connections', 'HTTP/2, 2 connections'];

/** Time to converge so many ValidatorNodes, against a bare loop that sends the same writes; rounds take turns. */
export async function converge(count: number, rounds: number, tell: (line: string) => void): Promise<readonly Row[]> {
  const ours = Array.from({ length: rounds + 1 }, (_, round) => `ours-${round}`);
  const bare = Array.from({ length: PROTOCOLS.length * (rounds + 1) }, (_, round) => `bare-${round}`);
  const stage = await Stage.open([...ours, ...bare]);
  try {
    const operator = stage.operator('operator', ours);
    await operator.untilIdle();
    const times = new Map<string, number[]>(['ours', ...PROTOCOLS].map((name) => [name, []]));
    const wrote = new Map<string, Writes>();
    const measure = async (name: string, namespace: string, work: () => Promise<void>): Promise<number> => {
      const watch = stage.watch(namespace);
      const before = await writesSeen(stage.api);
      const started = performance.now();
      await Promise.all([watch.untilReady(count, LIMIT_MS), work(), stage.untilRunning(namespace, count, LIMIT_MS)]);
      const seconds = (performance.now() - started) / 1000;
      // At once: what the operator writes after all are ready (events, one after the other) is in no time either.
      wrote.set(name, writesBetween(before, await writesSeen(stage.api)));
      await watch.stop();
      await operator.untilIdle(200);
      tell(`  ${name}: ${seconds.toFixed(2)} s, ${(count / seconds).toFixed(0)} validators/s`);
      return seconds;
    };
    const order = { network: NETWORK, prefix: 'v', count };
    let cpu = 0;
    let at = 0;
    for (let turn = 0; turn <= rounds; turn += 1) {
      const warming = turn === 0;
      tell(warming ? 'warming up' : `round ${turn} of ${rounds}`);
      const namespace = ours[turn] ?? '';
      const before = await operator.cpu();
      const seconds = await measure('ours', namespace, () => stage.write({ ...order, do: 'create', namespace }));
      cpu = (await operator.cpu()) - before;
      if (!warming) times.get('ours')?.push(seconds);
      const shape = await shapeOf(stage, namespace, count, wrote.get('ours') ?? new Map());
      await sleep(SILENCE_MS);
      await operator.untilIdle(200);
      for (const protocol of PROTOCOLS) {
        const place = bare[at++] ?? '';
        const bareTime = await measure(protocol, place, () =>
          stage.write({ ...order, do: 'everything', namespace: place, protocol, shape, atOnce: AT_ONCE }),
        );
        if (!warming) times.get(protocol)?.push(bareTime);
      }
    }
    const [best = PROTOCOLS[0] ?? 'HTTP/2, 2 connections'] = [...PROTOCOLS].sort(
      (a, b) => median(times.get(a) ?? []) - median(times.get(b) ?? []),
    );
    const mine = median(times.get('ours') ?? []);
    const theirs = median(times.get(best) ?? []);
    const own = total(withoutOthers(wrote.get('ours') ?? new Map()));
    tell(`  writes of ours: ${writesText(wrote.get('ours') ?? new Map())}`);
    for (const protocol of PROTOCOLS) tell(`  writes of ${protocol}: ${writesText(wrote.get(protocol) ?? new Map())}`);
    const all = [...times].map(([name, of]) => `${name}: ${of.map((one) => one.toFixed(1)).join(' ')} s`).join('; ');
    return [
      {
        name: 'converge1000_vs_bare',
        value: round(mine / theirs),
        unit: 'ratio',
        peer: `bare loop in Node, ${best}`,
        peerValue: round(theirs),
        ratio: round(mine / theirs),
        detail:
          `${count} validators: ours ${mine.toFixed(2)} s (${(count / mine).toFixed(0)}/s), bare ${theirs.toFixed(2)} s ` +
          `(${(count / theirs).toFixed(0)}/s), medians of ${rounds} [${all}]; ${(own / count).toFixed(2)} requests and ` +
          `${((cpu * 1000) / count).toFixed(1)} ms CPU of the operator a validator`,
      },
    ];
  } finally {
    await stage.close();
  }
}

/** Writes of the operator: not the kubelet's, not the person's. */
const withoutOthers = (writes: Writes): Writes =>
  ['pods/binding', 'pods/status'].reduce(
    without,
    new Map([...writes].filter(([what]) => what !== 'POST validatornodes')),
  );

/** What the operator wrote in its last round, as the API server counted it: what the bare loop is to write. */
async function shapeOf(stage: Stage, namespace: string, count: number, writes: Writes): Promise<Shape> {
  const of = (...what: readonly string[]): number => what.reduce((all, one) => all + (writes.get(one) ?? 0), 0);
  const [{ items: nodes }, { items: reservations }, charter] = await Promise.all([
    stage.client.list(ValidatorNode, { namespace }),
    stage.client.list(StakeKeyReservation),
    stage.client.get(ConfigMap, { namespace, name: `${NETWORK}-charter` }),
  ]);
  const settled = nodes.find((node) => findCondition(node, NODE_CONDITIONS.PodReady)?.status === 'True');
  const reserved = reservations.find(({ status }) => status?.conditions !== undefined);
  if (settled?.status === undefined) throw new Error('no validator is settled');
  const { observedGeneration: _, ...status } = settled.status;
  return {
    statuses: of('PATCH validatornodes/status') / count,
    reservationStatuses: of('PATCH stakekeyreservations/status') / count,
    events: of('POST events') / count,
    charters: of('POST configmaps', 'APPLY configmaps', 'PATCH configmaps'),
    charterBytes: Buffer.from(charter.binaryData?.[CHARTER_FILE] ?? '', 'base64').byteLength,
    status,
    reservationStatus: reserved?.status ?? {},
  };
}
