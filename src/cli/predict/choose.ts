/** Which validators to ask: of the model's network, ready ones first. Pure. */
import { isTrue, NODE_CONDITIONS } from '../../api/index.ts';
import { failed, misused } from '../errors.ts';
import type { Listed } from '../fleet/listed.ts';

/** Names of pods to ask in this order. */
export function chooseValidators(listed: Listed, modelName: string, namespace: string): readonly string[] {
  const model = listed.models.find((one) => one.metadata.name === modelName);
  if (model === undefined) {
    const known = listed.models.map((one) => one.metadata.name);
    throw misused(
      `There is no model "${modelName}" in namespace ${namespace}.`,
      known.length === 0
        ? 'There is none at all there: choose another --namespace.'
        : `Choose one of: ${known.join(', ')}.`,
    );
  }
  const members = listed.nodes.filter((node) => node.spec.network === model.spec.network);
  const running = members.filter((node) => node.status?.podName !== undefined);
  const ready = running.filter((node) => isTrue(node, NODE_CONDITIONS.Ready));
  const pods = [...ready, ...running.filter((node) => !ready.includes(node))].flatMap(
    (node) => node.status?.podName ?? [],
  );
  if (pods.length === 0) {
    throw failed(
      `No validator of network ${model.spec.network} in namespace ${namespace} runs, so model ${modelName} cannot be asked.`,
      `See why: murmur status -n ${namespace}`,
    );
  }
  return pods;
}
