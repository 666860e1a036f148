import type { ValidatorFleetStatus } from '../../api/index.ts';
import {
  Controller,
  controllerOf,
  keyOf,
  keyText,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  type ReconcileContext,
  type ReconcileResult,
  type Stores,
} from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../kinds.ts';
import { type PodSetting, plannedPodHash } from '../node/children/pod.ts';
import { type Parts, paced } from '../parts.ts';
import { perform } from '../perform.ts';
import { proveSeen } from '../seen.ts';
import { candidatesOf } from '../shard/candidates.ts';
import { StatusWriter, transitions } from '../status-writer.ts';
import { keysOf, labelledFleet, look, told, watched } from '../watched.ts';
import { type FleetWorld, planFleet } from './plan.ts';
import { fleetStatus } from './status.ts';

/** Changes of many validators are looked at together. ms */
const PACE_MS = 200;
const RETRY_MS = 10_000;

/** ValidatorFleet: its ValidatorNodes; the one writer of its status. */
export function fleetController(parts: Parts): Controller<ValidatorFleet> {
  const writer = new StatusWriter<ValidatorFleet, ValidatorFleetStatus>(
    ({ replicas, readyReplicas, updatedReplicas, currentVersion, targetVersion }) => [
      replicas,
      readyReplicas,
      updatedReplicas,
      currentVersion,
      targetVersion,
    ],
    (_, before, next) => transitions(['Ready', 'Converged'], before?.conditions, next.conditions),
  );
  return new Controller(ValidatorFleet, watched.fleets)
    .owns(ValidatorNode, { ...watched.nodes, on: told.node })
    .owns(PodDisruptionBudget, { ...watched.budgets, on: 'spec' })
    .watches(Pod, labelledFleet, watched.pods)
    .watches(
      ModelShard,
      ({ metadata, status }, stores) =>
        (status?.holders ?? []).flatMap(({ node }) => {
          const found = stores.of(ValidatorNode).get({ namespace: metadata.namespace ?? '', name: node });
          return found === undefined ? [] : labelledFleet(found);
        }),
      { ...watched.shards, on: told.copies },
    )
    .watches(Node, (machine, stores) => look.podsOn(stores, machine).flatMap(labelledFleet), {
      ...watched.machines,
      on: told.cordon,
    })
    .watches(
      Model,
      ({ metadata, spec }, stores) =>
        keysOf(
          stores
            .of(ValidatorFleet)
            .list(metadata.namespace)
            .filter((fleet) => fleet.spec.template.spec.network === spec.network),
        ),
      { ...watched.models, on: 'spec' },
    )
    .reads(Namespace)
    .run(paced(PACE_MS, parts.now, (context) => reconcileFleet(context, parts, writer)));
}

async function reconcileFleet(
  context: ReconcileContext,
  parts: Parts,
  writer: StatusWriter<ValidatorFleet, ValidatorFleetStatus>,
): Promise<ReconcileResult> {
  const world = observeFleet(context, parts);
  if (world === undefined) return {};
  const actions = planFleet(world);
  if (actions.length > 0) await proveSeen(context, ValidatorFleet, world.fleet);
  const refused = await perform(context, actions, { onDone: (action) => tell(context, world, action) });
  const after = actions.length === 0 ? world : observeFleet(context, parts);
  if (after === undefined) return {};
  const status = fleetStatus(after, refused);
  const afterMs = await writer.write(context, after.fleet, status, parts.now());
  parts.metrics.observeFleet(after.fleet, status);
  const [refusal] = refused;
  if (refusal !== undefined) {
    const { reason, message } = refusal;
    context.events.record(after.fleet, { type: 'Warning', reason, action: 'Apply', note: message });
    return { requeueAfterMs: RETRY_MS };
  }
  return afterMs === undefined ? {} : { requeueAfterMs: afterMs };
}

/** Events for validators that come, change or go. */
function tell({ events }: ReconcileContext, { fleet, members }: FleetWorld, action: Action): void {
  const say = (reason: string, note: string): void =>
    events.record(fleet, { type: 'Normal', reason, action: 'Scale', note });
  if (action.do === 'delete') say('ValidatorRemoved', `Removed ${action.key.name}, which is drained.`);
  if (action.do !== 'apply') return;
  const { name } = action.object.metadata;
  const { cordon } = (action.object as ValidatorNode).spec;
  if (!members.some(({ node }) => node.metadata.name === name)) say('ValidatorCreated', `Created ${name}.`);
  else if (cordon) say('ValidatorCordoned', `${name} is to leave; its chunks are copied away first.`);
  else say('ValidatorUpdated', `Brought ${name} in step with the template.`);
}

const podHashes = new WeakMap<object, WeakMap<PodSetting, Map<string, string>>>();

/** Hash of the pod of a ValidatorNode that is made from the template: worked out once for each template and setting. */
function rememberedPodHash({ spec }: ValidatorFleet, node: ValidatorNode, setting: PodSetting): string {
  const ofTemplate = podHashes.get(spec.template) ?? new WeakMap<PodSetting, Map<string, string>>();
  podHashes.set(spec.template, ofTemplate);
  const ofSetting = ofTemplate.get(setting) ?? new Map<string, string>();
  ofTemplate.set(setting, ofSetting);
  const key = keyText(keyOf(node));
  const hash = ofSetting.get(key) ?? plannedPodHash(node, setting);
  ofSetting.set(key, hash);
  return hash;
}

/** Reads all that is known of one fleet; undefined where it is gone. */
function observeFleet({ stores, key }: ReconcileContext, parts: Parts): FleetWorld | undefined {
  const fleet = stores.of(ValidatorFleet).get(key);
  if (fleet === undefined) return undefined;
  const { namespace } = key;
  const nodes = stores.of(ValidatorNode);
  const mine = nodes.byOwner(fleet.metadata.uid).filter((node) => controllerOf(node)?.uid === fleet.metadata.uid);
  const ours = new Set(mine.map(({ metadata }) => metadata.name));
  const prefix = `${fleet.metadata.name}-`;
  const taken = nodes
    .list(namespace)
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith(prefix) && !ours.has(name));
  const { network } = fleet.spec.template.spec;
  const setting = parts.settings.of(stores, namespace, network);
  const isCordoned = (node: string): boolean => isOnCordoned(stores, namespace, node);
  return {
    fleet,
    now: parts.now(),
    namespaceTerminating: look.isTerminating(stores, namespace),
    members: mine.map((node) => ({ node, pod: stores.of(Pod).get({ namespace, name: node.metadata.name }) })),
    taken: new Set(taken),
    podHash: (node) => (setting === undefined ? undefined : rememberedPodHash(fleet, node, setting)),
    budget: stores.of(PodDisruptionBudget).get(key),
    shards: [...new Set([...ours].flatMap((name) => look.heldBy(stores, namespace, name)))],
    isCordoned,
    spares: () => new Set(candidatesOf(stores, parts, namespace, network).filter((node) => !isCordoned(node))),
  };
}

function isOnCordoned(stores: Stores, namespace: string, node: string): boolean {
  const machine = look.machineOf(stores, namespace, node);
  if (machine === undefined) return false;
  return stores.of(Node).get({ namespace: '', name: machine })?.spec?.unschedulable === true;
}
