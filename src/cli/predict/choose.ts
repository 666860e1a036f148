/** Which validators to ask: of the model's network, ready ones first. Pure. */
import { isTrue, type Model, NODE_CONDITIONS, type ValidatorNode } from '../../api/index.ts';
import { failed, misused } from '../errors.ts';
import type { Listed } from '../fleet/listed.ts';

/** The Model of that name. @throws CommandError (misused) that names those there are */
export function chooseModel(listed: Pick<Listed, 'models'>, modelName: string, namespace: string): Model {
  const model = listed.models.find((one) => one.metadata.name === modelName);
  if (model !== undefined) return model;
  const known = listed.models.map((one) => one.metadata.name);
  throw misused(
    `There is no model "${modelName}" in namespace ${namespace}.`,
    known.length === 0
      ? 'There is none at all there: choose another --namespace.'
      : `Choose one of: ${known.join(', ')}.`,
  );
}

/** Validators of a network whose pods run, ready ones first. */
export function runningIn(network: string, { nodes }: Pick<Listed, 'nodes'>): readonly ValidatorNode[] {
  const running = nodes.filter((node) => node.spec.network === network && node.status?.podName !== undefined);
  const ready = running.filter((node) => isTrue(node, NODE_CONDITIONS.Ready));
  return [...ready, ...running.filter((node) => !ready.includes(node))];
}

/** Names of pods to ask in this order. */
export function chooseValidators(listed: Listed, modelName: string, namespace: string): readonly string[] {
  const model = chooseModel(listed, modelName, namespace);
  const pods = runningIn(model.spec.network, listed).flatMap((node) => node.status?.podName ?? []);
  if (pods.length === 0) {
    throw failed(
      `No validator of network ${model.spec.network} in namespace ${namespace} runs, so model ${modelName} cannot be asked.`,
      `See why: murmur status -n ${namespace}`,
    );
  }
  return pods;
}
