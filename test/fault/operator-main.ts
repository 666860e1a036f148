import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { startOperator } from '../../src/operator/operator.ts';
import { ScriptedOverlays } from '../apiserver/operator/overlay.ts';
import type { FromOperator, OperatorSettings, ToOperator } from './operator-messages.ts';

/** The lead has no event of its own; it is looked at so often. ms */
const LEAD_EVERY_MS = 20;

const tell = (message: FromOperator): void => void process.send?.(message);

/** The operator as a process of its own, so that it can be killed, stopped and outlived. Its overlays are scripted. */
async function main(settings: OperatorSettings): Promise<void> {
  const stop = new AbortController();
  // Whoever started this process has ended, in whatever way: nobody is left to end it.
  const orphaned = (): void => process.exit(1);
  process.once('disconnect', orphaned);
  process.once('SIGTERM', () => stop.abort());
  const overlays = new ScriptedOverlays();
  process.on('message', ({ node, said, network }: ToOperator) => {
    const heard = network === undefined ? overlays.all() : [overlays.of(network)];
    for (const overlay of heard) overlay?.report(node, said);
  });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(settings.kubeconfig);
  const operator = await startOperator({
    kubeConfig,
    namespace: settings.namespace,
    podName: settings.podName,
    ...(settings.watchNamespaces === undefined ? {} : { watchNamespaces: settings.watchNamespaces }),
    leaderElect: settings.leaderElect ?? false,
    image: settings.image ?? 'murmuration:test',
    metricsAddress: '127.0.0.1:0',
    healthAddress: '127.0.0.1:0',
    log: pino({ level: settings.logLevel ?? process.env.LOG_LEVEL ?? 'silent' }),
    signal: stop.signal,
    createOverlay: overlays.create,
  });
  let leading: boolean | undefined;
  const look = (): void => {
    if (operator.leading === leading) return;
    leading = operator.leading;
    tell({ is: 'leading', leading });
  };
  look();
  const looking = setInterval(look, LEAD_EVERY_MS);
  const { healthAddress = '', metricsAddress = '' } = operator;
  tell({ is: 'ready', healthAddress, metricsAddress });
  await operator.stopped;
  clearInterval(looking);
  process.off('disconnect', orphaned);
  process.disconnect();
}

main(JSON.parse(process.argv[2] ?? '{}')).catch((error: unknown) => {
  process.send?.({ is: 'failed', why: String(error) } satisfies FromOperator, () => process.exit(1));
});
