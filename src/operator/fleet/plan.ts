import { isTrue, LABELS, maxUnavailableOf, NODE_CONDITIONS, nodeName, ordinalOf } from '../../api/index.ts';
import { type Existing, keyOf, mergePatchOf, type Pod, type PodDisruptionBudget } from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { same } from '../digest.ts';
import { type ModelShard, type ValidatorFleet, ValidatorNode } from '../kinds.ts';
import { CORDONED_BY_FLEET, REPLACE_POD } from '../labels.ts';
import { podHashOf } from '../node/children/pod.ts';
import { isPodReady } from '../node/pod-state.ts';
import { planBudget } from './budget.ts';
import { buildNode, templateHash } from './children/node.ts';

/** One validator of the fleet, and its pod. */
export interface FleetMember {
  readonly node: Existing<ValidatorNode>;
  readonly pod: Existing<Pod> | undefined;
}

/** All that is known of one fleet at one moment. */
export interface FleetWorld {
  readonly fleet: Existing<ValidatorFleet>;
  /** Unix ms. */
  readonly now: number;
  readonly namespaceTerminating: boolean;
  /** Every ValidatorNode that this fleet controls. */
  readonly members: readonly FleetMember[];
  /** Names of ValidatorNodes in the namespace that it does not control. */
  readonly taken: ReadonlySet<string>;
  /** Hash of the pod that a ValidatorNode would get now; undefined while that cannot be said (no authority key). */
  readonly podHash: (node: ValidatorNode) => string | undefined;
  /** The budget of the fleet's name. */
  readonly budget: Existing<PodDisruptionBudget> | undefined;
  /** Shards of the network that some member holds. */
  readonly shards: readonly ModelShard[];
  /** Whether the pod of this validator is on a machine that is cordoned. */
  readonly isCordoned: (node: string) => boolean;
  /** Validators of the network that may be given shards, and are on no machine that is cordoned. Takes a look at all. */
  readonly spares: () => ReadonlySet<string>;
}

/** How a validator stands against the template. */
export interface Standing {
  readonly node: Existing<ValidatorNode>;
  readonly ordinal: number;
  /** The ValidatorNode as the template wants it, with the permission to replace its pod. */
  readonly wanted: ValidatorNode;
  /** Spec, labels and permission are as wanted. */
  readonly current: boolean;
  /** Its pod is the one that is wanted. */
  readonly settled: boolean;
  /** Its pod runs, so that taking it away costs something. */
  readonly up: boolean;
  /** Up, Ready with this very spec, and every chunk that it should hold is on its disk. */
  readonly available: boolean;
}

/**
 * The next wave for one fleet: missing validators together, {@link GROWTH} at a time, surplus ones from the highest
 * ordinal down and only after a drain, changed ones as maxUnavailable allows, those that are down anyway first.
 *
 * Invariants (test/unit/operator/fleet-plan.test.ts): an update takes a running pod away only while fewer than
 * maxUnavailable validators are not available; a validator leaves only when drained or when a person deletes it.
 */
export function planFleet(world: FleetWorld): readonly Action[] {
  const { fleet, namespaceTerminating } = world;
  if (fleet.metadata.deletionTimestamp !== undefined || namespaceTerminating) return [];
  return [...planGrowth(world), ...planUpdates(world), ...planShrink(world), ...planBudget(world)];
}

/** Ordinals that the fleet should have. */
const wantedOrdinals = ({ spec }: ValidatorFleet): readonly number[] =>
  Array.from({ length: spec.replicas }, (_, index) => spec.ordinals.start + index);

function isWanted(fleet: ValidatorFleet, node: ValidatorNode): boolean {
  const ordinal = ordinalOf(fleet.metadata.name, node.metadata.name);
  const { start } = fleet.spec.ordinals;
  return ordinal !== undefined && ordinal >= start && ordinal < start + fleet.spec.replicas;
}

/** So many new validators wait for their first look at once: whoever changes something else meanwhile waits behind these only. */
export const GROWTH = 64;

function planGrowth(world: FleetWorld): readonly Action[] {
  const { fleet, members, taken, podHash } = world;
  const names = new Set(members.map(({ node }) => node.metadata.name));
  const unseen = members.filter(({ node }) => node.status === undefined).length;
  return wantedOrdinals(fleet)
    .map((ordinal) => ({ ordinal, name: nodeName(fleet.metadata.name, ordinal) }))
    .filter(({ name }) => !names.has(name) && !taken.has(name))
    .slice(0, Math.max(0, GROWTH - unseen))
    .map(({ ordinal }) => {
      const node = buildNode(fleet, ordinal);
      return { do: 'apply', kind: ValidatorNode, object: permitted(node, podHash(node)) };
    });
}

const annotated = (node: ValidatorNode, annotation: string, value: string): ValidatorNode => ({
  ...node,
  metadata: { ...node.metadata, annotations: { ...node.metadata.annotations, [annotation]: value } },
});

/** With the permission to replace the pod by the one that this hash names. */
const permitted = (node: ValidatorNode, hash: string | undefined): ValidatorNode =>
  hash === undefined ? node : annotated(node, REPLACE_POD, hash);

/** Every validator that stays, against the template. */
export function standings(world: FleetWorld): readonly Standing[] {
  const { fleet, members } = world;
  return members
    .filter(({ node }) => isWanted(fleet, node) && node.metadata.deletionTimestamp === undefined)
    .map((member) => standingOf(world, member));
}

function standingOf({ fleet, podHash }: FleetWorld, { node, pod }: FleetMember): Standing {
  const ordinal = ordinalOf(fleet.metadata.name, node.metadata.name) ?? 0;
  const built = buildNode(fleet, ordinal);
  const hash = podHash(built);
  // A permission once given is not taken back while nobody can say what pod is wanted.
  const wanted = permitted(built, hash ?? node.metadata.annotations?.[REPLACE_POD]);
  const { annotations } = node.metadata;
  const current =
    node.metadata.labels?.[LABELS.templateHash] === templateHash(fleet) &&
    isAsTemplate(fleet, node, wanted) &&
    annotations?.[CORDONED_BY_FLEET] === undefined &&
    (hash === undefined || annotations?.[REPLACE_POD] === hash);
  const settled = hash === undefined || (pod !== undefined && podHashOf(pod) === hash);
  const up = isPodReady(pod);
  return {
    node,
    ordinal,
    wanted,
    current,
    settled,
    up,
    available: up && isHealthy(node) && (!current || settled),
  };
}

const compared = new WeakMap<object, WeakMap<object, boolean>>();

/** Whether the spec is what the template says. Specs of a store are shared by equals, so this is asked once for each. */
function isAsTemplate(fleet: ValidatorFleet, { spec }: ValidatorNode, wanted: ValidatorNode): boolean {
  const ofSpec = compared.get(spec) ?? new WeakMap<object, boolean>();
  compared.set(spec, ofSpec);
  const is = ofSpec.get(fleet.spec.template) ?? same(spec, withOwnSwitches(spec, wanted.spec));
  ofSpec.set(fleet.spec.template, is);
  return is;
}

/** Cordon and pause of a single validator are a person's, unless the template says them. */
const withOwnSwitches = (present: ValidatorNode['spec'], wanted: ValidatorNode['spec']): ValidatorNode['spec'] => ({
  ...wanted,
  cordon: wanted.cordon ?? present.cordon,
  paused: wanted.paused ?? present.paused,
});

function isHealthy(node: ValidatorNode): boolean {
  return (
    isTrue(node, NODE_CONDITIONS.Ready) &&
    isTrue(node, NODE_CONDITIONS.ShardsHeld) &&
    node.status?.observedGeneration === node.metadata.generation
  );
}

/** Those that are down come first: bringing them up to date costs nothing and may be what mends them. */
const cost = ({ up, available }: Standing): number => (!up ? 0 : available ? 2 : 1);

function planUpdates(world: FleetWorld): readonly Action[] {
  const { fleet } = world;
  const all = standings(world);
  const limit = maxUnavailableOf(fleet.spec);
  const missing = fleet.spec.replicas - all.length;
  let unavailable = missing + all.filter(({ available }) => !available).length;
  let down = missing + all.filter(({ up, current, settled }) => !up || (current && !settled)).length;
  const actions: Action[] = [];
  for (const standing of [...all].sort((a, b) => cost(a) - cost(b) || b.ordinal - a.ordinal)) {
    if (standing.current) continue;
    if (standing.up && !standing.settled) {
      if (standing.available ? unavailable >= limit : down >= limit) continue;
      if (standing.available) unavailable += 1;
      down += 1;
    }
    actions.push({ do: 'apply', kind: ValidatorNode, object: standing.wanted }, ...planRestoration(fleet, standing));
  }
  return actions;
}

/** What somebody else has added to the spec is taken away: an apply of the template leaves it alone. */
function planRestoration(fleet: ValidatorFleet, { node, wanted }: Standing): readonly Action[] {
  // What an older template said and this one does not is taken away by the apply.
  if (node.metadata.labels?.[LABELS.templateHash] !== templateHash(fleet)) return [];
  const patch = mergePatchOf(node.spec, withOwnSwitches(node.spec, wanted.spec));
  return patch === undefined ? [] : [{ do: 'patch', kind: ValidatorNode, key: keyOf(node), patch: { spec: patch } }];
}

/** Validators above the fleet's size, highest first. */
export function surplus({ fleet, members }: FleetWorld): readonly FleetMember[] {
  const ordinal = ({ node }: FleetMember): number => ordinalOf(fleet.metadata.name, node.metadata.name) ?? -1;
  return members.filter(({ node }) => !isWanted(fleet, node)).sort((a, b) => ordinal(b) - ordinal(a));
}

function planShrink(world: FleetWorld): readonly Action[] {
  const leaving = surplus(world).filter(({ node }) => node.metadata.deletionTimestamp === undefined);
  const actions: Action[] = leaving
    .filter(({ node }) => !node.spec.cordon)
    .map(({ node }) => ({ do: 'apply', kind: ValidatorNode, object: cordoned(world, node) }));
  const [highest] = leaving;
  if (highest?.node.spec.cordon && isDrained(highest.node)) {
    actions.push({ do: 'delete', kind: ValidatorNode, key: keyOf(highest.node), uid: highest.node.metadata.uid });
  }
  return actions;
}

/** Drained, and judged so after the cordon was seen. */
const isDrained = (node: ValidatorNode): boolean =>
  isTrue(node, NODE_CONDITIONS.Drained) && node.status?.observedGeneration === node.metadata.generation;

/** The validator as it is, with the cordon; its pod stays as it is. */
function cordoned({ fleet }: FleetWorld, node: Existing<ValidatorNode>): ValidatorNode {
  const built = buildNode(fleet, ordinalOf(fleet.metadata.name, node.metadata.name) ?? 0);
  const { labels, annotations } = node.metadata;
  const { paused, ...spec } = node.spec;
  return annotated(
    {
      ...built,
      metadata: {
        ...built.metadata,
        name: node.metadata.name,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
      },
      spec: { ...spec, cordon: true } as ValidatorNode['spec'],
    },
    CORDONED_BY_FLEET,
    'true',
  );
}
