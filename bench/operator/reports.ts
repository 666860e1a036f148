import { fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION, findCondition, NODE_CONDITIONS } from '../../src/api/index.ts';
import { round } from '../figures.ts';
import type { Row } from './figures.ts';
import type { Spoken } from './speaker.ts';
import { Stage } from './stage.ts';

const NAMESPACE = 'reports';
const NETWORK = 'flock';
const EVERY_MS = 5_000;
const LIMIT_MS = 300_000;
const MEASURED_MS = 60_000;
/** Nobody measures while caches fill and meshes form. ms */
const WARM_MS = 30_000;

/** What it costs the operator to hear signed reports of so many validators over real gossip, and to take them in. */
export async function reports(count: number, tell: (line: string) => void): Promise<readonly Row[]> {
  const stage = await Stage.open([NAMESPACE]);
  const watch = stage.watch(NAMESPACE);
  const connected = new Set<string>();
  watch.onNode((node) => {
    const is = findCondition(node, NODE_CONDITIONS.Connected)?.status === 'True';
    if (is) connected.add(node.metadata.name);
    else connected.delete(node.metadata.name);
  });
  try {
    const operator = stage.operator('operator', [NAMESPACE]);
    await operator.untilIdle();
    await stage.write({ do: 'create', namespace: NAMESPACE, network: NETWORK, prefix: 'v', count });
    await watch.untilReady(count, LIMIT_MS);
    const models = `/apis/${API_VERSION}/namespaces/${NAMESPACE}/models`;
    const model = await stage.api.call('POST', models, {
      apiVersion: API_VERSION,
      kind: 'Model',
      metadata: { name: 'digits' },
      spec: { network: NETWORK, data: { source: { builtin: 'digits' }, classes: 10 } },
    });
    if (model.code !== 201) throw new Error(`the Model was refused: ${model.body?.message}`);
    await operator.untilIdle(200, LIMIT_MS);
    const args = [stage.api.kubeconfig, NAMESPACE, NETWORK, String(EVERY_MS)];
    const speaker = fork(join(import.meta.dirname, 'speaker.ts'), args);
    let spoken: Spoken = { reports: 0, peers: [] };
    speaker.on('message', (said: Spoken) => {
      spoken = said;
    });
    try {
      const deadline = performance.now() + LIMIT_MS;
      while (connected.size < count) {
        if (performance.now() > deadline) {
          throw new Error(`${connected.size} of ${count} were heard; spoken: ${JSON.stringify(spoken)}`);
        }
        await sleep(100);
      }
      tell(`  all ${count} are heard`);
      await sleep(WARM_MS);
      const before = {
        cpu: await operator.cpu(),
        said: spoken.reports,
        at: performance.now(),
        writes: await operator.requests('writes'),
      };
      await sleep(MEASURED_MS);
      const seconds = (performance.now() - before.at) / 1000;
      const cpu = ((await operator.cpu()) - before.cpu) / seconds;
      const rate = (spoken.reports - before.said) / seconds;
      const writes = ((await operator.requests('writes')) - before.writes) / seconds;
      const heard = await operator.samples('murmuration_validator_report_timestamp_seconds');
      const fresh = heard.filter(({ value }) => Date.now() / 1000 - value < 15).length;
      const { now } = await operator.memory();
      tell(`  ${(100 * cpu).toFixed(1)} % of a core, ${rate.toFixed(0)} reports/s, ${fresh} heard within 15 s`);
      if (fresh < count || connected.size < count)
        throw new Error(`only ${fresh} of ${count} are still heard; spoken: ${JSON.stringify(spoken)}`);
      return [
        {
          name: 'reports1000_cpu_pct',
          value: round(100 * cpu),
          unit: '% of a core',
          detail:
            `${count} validators, each heard every ${EVERY_MS / 1000} s: ${rate.toFixed(0)} signed reports/s over gossipsub ` +
            `from ${spoken.peers.length} peers, ${((cpu * 1000) / rate).toFixed(2)} ms CPU a report, ${writes.toFixed(0)} writes/s ` +
            `of what they say into statuses; RSS ${now.toFixed(0)} MB`,
        },
      ];
    } finally {
      speaker.kill('SIGKILL');
    }
  } finally {
    await watch.stop();
    await stage.close();
  }
}
