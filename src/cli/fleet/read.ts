/** Lists what the state of fleets is made from. */
import { KINDS, type Model, type ModelShard, type ValidatorFleet, type ValidatorNode } from '../../api/index.ts';
import { type Client, defineKind, type Kind, type KubeObject } from '../../kube/index.ts';
import type { Listed } from './listed.ts';
import { type FleetState, fleetState } from './state.ts';

const described = <T extends KubeObject>(kind: (typeof KINDS)[keyof typeof KINDS]): Kind<T> => {
  const [group = '', version = ''] = kind.apiVersion.split('/');
  return defineKind<T>({ group, version, kind: kind.kind, plural: kind.plural, namespaced: kind.namespaced });
};

/** The kinds that are listed, as the client knows them. */
export const listedKinds = {
  fleets: described<ValidatorFleet>(KINDS.ValidatorFleet),
  nodes: described<ValidatorNode>(KINDS.ValidatorNode),
  models: described<Model>(KINDS.Model),
  shards: described<ModelShard>(KINDS.ModelShard),
} as const;

/** All fleets, validators, models and shards of a namespace, read at the same time. */
export async function listFleets(client: Client, namespace: string, signal: AbortSignal): Promise<Listed> {
  const options = { namespace, signal };
  const [fleets, nodes, models, shards] = await Promise.all([
    client.list(listedKinds.fleets, options),
    client.list(listedKinds.nodes, options),
    client.list(listedKinds.models, options),
    client.list(listedKinds.shards, options),
  ]);
  return { fleets: fleets.items, nodes: nodes.items, models: models.items, shards: shards.items };
}

/** The state of a namespace now. */
export async function readFleets(
  client: Client,
  namespace: string,
  now: () => number,
  signal: AbortSignal,
): Promise<FleetState> {
  return fleetState(await listFleets(client, namespace, signal), now());
}
