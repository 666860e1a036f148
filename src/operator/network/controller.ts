import { FIELD_MANAGER } from '../../api/index.ts';
import {
  AlreadyExists,
  ConfigMap,
  Conflict,
  Controller,
  Namespace,
  type ObjectKey,
  Pod,
  type ReconcileContext,
  type ReconcileResult,
} from '../../kube/index.ts';
import { type Charter, signCharter } from '../../overlay/index.ts';
import type { Authority } from '../authority/keeper.ts';
import { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { type Parts, paced } from '../parts.ts';
import { look, told, watched } from '../watched.ts';
import { labelledNetwork, networkKey, networkOfKey } from './key.ts';
import { DIAL_MS } from './overlays.ts';
import { dialable, type NetworkWorld, planCharter } from './plan.ts';
import { buildRecord, type CharterRecord, readRecord } from './record.ts';
import { untilNextEnd } from './users.ts';

/** Changes that come together become one charter. ms */
const PACE_MS = 250;

/** One network: its charter (recorded before it is spoken), and the operator's place in its overlay. */
export function networkController(parts: Parts): Controller<ConfigMap> {
  return new Controller(ConfigMap, { ...watched.charters, name: 'network', on: 'any' })
    .watches(ValidatorNode, networkOfSpec, { ...watched.nodes, on: told.member })
    .watches(Model, networkOfSpec, { ...watched.models, on: 'spec' })
    .watches(
      ModelShard,
      ({ metadata, spec }, stores) => {
        const model = stores.of(Model).get({ namespace: metadata.namespace ?? '', name: spec.modelRef.name });
        return model === undefined ? [] : [networkKey(metadata.namespace, model.spec.network)];
      },
      watched.shards,
    )
    .watches(Pod, labelledNetwork, { ...watched.pods, on: told.address })
    .watches(ConfigMap, labelledNetwork, watched.users)
    .reads(Namespace)
    .on(parts.view.networks)
    .run(paced(PACE_MS, parts.now, (context) => reconcileNetwork(context, parts)));
}

const networkOfSpec = ({ metadata, spec }: ValidatorNode | Model): readonly ObjectKey[] => [
  networkKey(metadata.namespace, spec.network),
];

async function reconcileNetwork(context: ReconcileContext, parts: Parts): Promise<ReconcileResult> {
  const { stores, key, client } = context;
  const { namespace } = key;
  const name = networkOfKey(key);
  const network = `${namespace}/${name}`;
  const nodes = look.nodesOf(stores, namespace, name);
  const models = look.modelsOf(stores, namespace, name);
  const present = stores.of(ConfigMap, watched.charters.selector).get(key);
  if (look.isTerminating(stores, namespace) || (nodes.length === 0 && models.length === 0)) {
    parts.charters.forget(network);
    await parts.overlays.leave(network);
    parts.metrics.forgetNetwork(namespace, name);
    if (present === undefined || present.metadata.deletionTimestamp !== undefined) return {};
    await client.delete(ConfigMap, key, { uid: present.metadata.uid });
    return {};
  }
  const authority = parts.authority.current;
  if (authority === undefined) return {};
  // Until somebody is there to hear it, there is nothing to say.
  if (nodes.length === 0 && present === undefined) return {};
  const record = await readRecord(present, { authority: authority.peerId, network });
  const world: NetworkWorld = {
    network,
    nodes: nodes.map((node) => ({ node, pod: stores.of(Pod).get({ namespace, name: node.metadata.name }) })),
    models,
    shards: models.flatMap(({ metadata }) => look.shardsOf(stores, namespace, metadata.name)),
    users: look.usersOf(stores, namespace, name),
    nowSeconds: Math.floor(parts.now() / 1000),
    operator: authority.overlayPeerId,
    recordedContent: record.content,
    recordedSeq: record.seq,
    heardSeq: parts.overlays.heardSeq(network),
  };
  const spoken = await settle(context, parts, authority, world, record);
  if (spoken === undefined) return { requeueAfterMs: PACE_MS };
  letIn(parts, namespace, network, spoken.charter);
  await parts.overlays.speak(network, spoken.signed, spoken.charter, authority);
  parts.metrics.observeNetwork(namespace, name, spoken.charter.seq, spoken.charter.members.length);
  const settled = parts.overlays.dial(network, dialable(world));
  return { requeueAfterMs: settled ? untilNextEnd(spoken.charter.members, parts.now()) : DIAL_MS };
}

/** Who is new in the recorded charter may have its pod now. */
function letIn(parts: Parts, namespace: string, network: string, charter: Charter): void {
  const added = new Set(parts.charters.record(network, charter));
  for (const { name, peerId, role } of charter.members) {
    if (role === 'validator' && added.has(peerId)) parts.view.nodes.wake({ namespace, name });
  }
}

/** The charter that is in force: the recorded one, or a new one that is recorded first. Undefined: look again. */
async function settle(
  context: ReconcileContext,
  parts: Parts,
  authority: Authority,
  world: NetworkWorld,
  record: CharterRecord,
): Promise<{ readonly signed: NonNullable<CharterRecord['signed']>; readonly charter: Charter } | undefined> {
  const plan = planCharter(world);
  if (plan.say === 'nothing') {
    const { signed, charter } = record;
    return signed === undefined || charter === undefined ? undefined : { signed, charter };
  }
  const { stores, key, client, log, events } = context;
  const charter: Charter = {
    network: world.network,
    seq: plan.seq,
    issuedAt: Math.floor(parts.now() / 1000),
    ...plan.content,
  };
  const signed = await signCharter(charter, authority.authorityKey);
  const present = stores.of(ConfigMap, watched.charters.selector).get(key);
  const object = buildRecord(key.namespace, networkOfKey(key), signed, charter, present?.metadata.resourceVersion);
  try {
    const written =
      present === undefined
        ? await client.create(ConfigMap, object, { fieldManager: FIELD_MANAGER })
        : await client.apply(ConfigMap, object, { fieldManager: FIELD_MANAGER });
    if (plan.overtaken) {
      const note =
        `A charter with number ${world.heardSeq} was heard under this operator's key, above the recorded ${world.recordedSeq}: ` +
        `a restored backup, or a second operator with the same key. Went on with ${plan.seq}.`;
      events.record(written, { type: 'Warning', reason: 'CharterOvertaken', action: 'Charter', note });
      log.warn({ network: world.network, heard: world.heardSeq, recorded: world.recordedSeq, seq: plan.seq }, note);
    }
  } catch (error) {
    // The store is behind: what was written in between is looked at first.
    if (error instanceof Conflict || error instanceof AlreadyExists) return undefined;
    throw error;
  }
  const { members, models, placements } = plan.content;
  log.info(
    {
      network: world.network,
      seq: plan.seq,
      members: members.length,
      models: models.length,
      shards: placements.length,
    },
    'a new charter',
  );
  return { signed, charter };
}
