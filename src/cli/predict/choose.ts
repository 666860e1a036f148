/** Which validators to ask: of the model's network, ready ones first. Pure. */
import { isTrue, type Model, NODE_CONDITIONS } from '../../api/index.ts';
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

/** A validator whose pod runs. */
export interface Running {
  /** Name of the ValidatorNode. */
  readonly node: string;
  readonly pod: string;
}

/** Validators of a network whose pods run, ready ones first. */
export function runningIn(network: string, { nodes }: Pick<Listed, 'nodes'>): readonly Running[] {
  const ready: Running[] = [];
  const others: Running[] = [];
  for (const node of nodes) {
    const pod = node.status?.podName;
    if (node.spec.network !== network || pod === undefined) continue;
    (isTrue(node, NODE_CONDITIONS.Ready) ? ready : others).push({ node: node.metadata.name, pod });
  }
  return [...ready, ...others];
}

/** Validators that know a model, in the order in which to ask them. @throws CommandError where none runs */
export function runningFor({ metadata, spec }: Model, listed: Listed, namespace: string): readonly Running[] {
  const running = runningIn(spec.network, listed);
  if (running.length > 0) return running;
  throw failed(
    `No validator of network ${spec.network} in namespace ${namespace} runs, so model ${metadata.name} cannot be asked.`,
    `See why: murmur status -n ${namespace}`,
  );
}

/** Names of pods to ask in this order. @throws CommandError */
export const chooseValidators = (listed: Listed, modelName: string, namespace: string): readonly string[] =>
  runningFor(chooseModel(listed, modelName, namespace), listed, namespace).map(({ pod }) => pod);
