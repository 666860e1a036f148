import { setTimeout as sleep } from 'node:timers/promises';
import type { Existing } from '../../src/kube/index.ts';
import { ValidatorNode } from '../../src/operator/kinds.ts';
import type { NodeWatch } from './node-watch.ts';
import type { OperatorProcess } from './operator.ts';
import { Stage } from './stage.ts';

export const NAMESPACE = 'herd';
/** Validators of a network. */
const NETWORK_SIZE = 500;
const LIMIT_MS = 300_000;
/** After 30 s without a report the operator says so in every status; then all is said. ms */
const SILENCE_MS = 33_000;

/** Settled validators that no fleet looks after, so that a person may change each of them; and who made them. */
export interface Herd {
  readonly stage: Stage;
  readonly watch: NodeWatch;
  readonly operator: OperatorProcess;
  readonly names: readonly string[];
  close(): Promise<void>;
}

export async function settledHerd(count: number): Promise<Herd> {
  const stage = await Stage.open([NAMESPACE]);
  const watch = stage.watch(NAMESPACE);
  try {
    const operator = stage.operator('operator-0', [NAMESPACE]);
    await operator.untilIdle();
    const networks = Math.max(1, Math.ceil(count / NETWORK_SIZE));
    const size = Math.ceil(count / networks);
    for (let at = 0; at < networks; at += 1) {
      const network = `network-${at}`;
      await stage.write({ do: 'create', namespace: NAMESPACE, network, prefix: network, count: size });
    }
    await watch.untilReady(networks * size, LIMIT_MS);
    await operator.untilIdle(200, LIMIT_MS);
    await sleep(SILENCE_MS);
    await operator.untilIdle(200, LIMIT_MS);
    const names = Array.from(
      { length: networks * size },
      (_, at) => `network-${at % networks}-${Math.floor(at / networks)}`,
    );
    return {
      stage,
      watch,
      operator,
      names,
      close: async () => {
        await watch.stop();
        await stage.close();
      },
    };
  } catch (error) {
    await watch.stop();
    await stage.close();
    throw error;
  }
}

/** What becomes of the volume one day: a change of it asks for a new status and for nothing else. */
export type Retain = ValidatorNode['spec']['storage']['retain'];

/** A person changes a spec. */
export const change = ({ stage }: Herd, name: string, retain: Retain): Promise<Existing<ValidatorNode>> =>
  stage.client.patch(ValidatorNode, { namespace: NAMESPACE, name }, { spec: { storage: { retain } } });

/** Whether the status was judged on this generation or a later one. */
export const answers = (node: Existing<ValidatorNode>, generation: number): boolean =>
  (node.status?.observedGeneration ?? 0) >= generation;
