/** What a person can do next, once the fleet runs. Pure. */
import { basename } from 'node:path';
import type { ClusterFlags } from '../flags.ts';
import type { FleetState } from '../fleet/state.ts';
import type { Io } from '../io.ts';
import { table } from '../render/table.ts';

/** What the advice depends on. */
export interface Situation {
  readonly reach: ClusterFlags;
  /** Path of kubectl. */
  readonly kubectl: string;
  readonly namespace: string;
  readonly state: FleetState;
  readonly env: Io['env'];
}

/** Commands with their meaning, ready to be copied. */
export function nextText({ reach, kubectl, namespace, state, env }: Situation): readonly string[] {
  const onPath = (env.PATH ?? '').split(':').includes(kubectl.slice(0, -basename(kubectl).length - 1));
  const run = onPath ? 'kubectl' : kubectl;
  const where = namespace === 'default' ? '' : ` -n ${namespace}`;
  const own = reach.context === undefined && reach.kubeconfig !== undefined && env.KUBECONFIG !== reach.kubeconfig;
  const pod = state.validators.find((line) => line.podName !== undefined)?.podName;
  const [model] = state.models;
  const rows: (readonly [command: string, meaning: string])[] = [
    ...(own
      ? [[`export KUBECONFIG=${fromHome(reach.kubeconfig ?? '', env.HOME)}`, 'let kubectl find this cluster'] as const]
      : []),
    [`${run} get vn,mdl,ms${where}`, 'the same from Kubernetes; describe tells more'],
    [`./murmur top${where}`, 'validators as they learn'],
    ...(model === undefined
      ? []
      : [[`./murmur predict ${model.name} --file samples/seven.json${where}`, 'ask what was learned'] as const]),
    ...(pod === undefined
      ? []
      : [
          [
            `${run} get --raw /api/v1/namespaces/${namespace}/pods/${pod}:8080/proxy/metrics`,
            'metrics for Prometheus',
          ] as const,
        ]),
    ['make down', 'remove all of it'],
  ];
  return [
    'Next:',
    ...table(
      [
        { head: '', cell: (row) => `  ${row[0]}` },
        { head: '', cell: (row) => row[1] },
      ],
      rows,
    ).slice(1),
  ];
}

/** `~/.cache/...`, which shells expand. */
function fromHome(path: string, home: string | undefined): string {
  return home !== undefined && home !== '' && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
