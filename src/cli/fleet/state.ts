/**
 * What is known of fleets, as one value that `up`, `status` and `top` show and `-o json` prints. A pure function of the
 * listed objects and the time.
 */
import {
  type Condition,
  type Conditioned,
  findCondition,
  MODEL_CONDITIONS,
  type Model,
  type ModelShard,
  NODE_CONDITIONS,
  readyText,
  type ValidatorFleet,
  type ValidatorNode,
} from '../../api/index.ts';
import type { Listed } from './listed.ts';
import { type Problem, problemsOf } from './problems.ts';

/** One ValidatorFleet. */
export interface FleetLine {
  readonly namespace: string;
  readonly name: string;
  readonly network: string;
  readonly ready: boolean;
  readonly desiredReplicas: number;
  readonly readyReplicas: number;
  readonly updatedReplicas: number;
}

/** One Model. */
export interface ModelLine {
  readonly namespace: string;
  readonly name: string;
  readonly network: string;
  readonly ready: boolean;
  readonly converged: boolean;
  /** From the making of the Model until it converged, milliseconds. */
  readonly convergedAfter?: number;
  /** From the model's first update until it was converged first, milliseconds. */
  readonly timeToTarget?: number;
  /** Estimate of the time until it will be converged, milliseconds; absent where there is no trend. */
  readonly timeLeft?: number;
  readonly target?: { readonly metric: 'accuracy' | 'loss'; readonly value: number };
  /** Least accuracy among validators, 0..1. */
  readonly accuracy?: number;
  /** Mean loss over validators. */
  readonly loss?: number;
  /** Distance of validators' weights from each other, relative to their length. */
  readonly divergence?: number;
  /** Age: local updates that the model has seen. */
  readonly updates?: number;
  readonly version?: {
    readonly cid: string;
    readonly short: string;
    readonly updates: number;
    readonly certifiedBy?: string;
    readonly bytes: number;
    readonly chunks: number;
  };
  readonly shards: { readonly total: number; readonly replicated: number };
}

/** One ValidatorNode. */
export interface ValidatorLine {
  readonly namespace: string;
  readonly name: string;
  readonly network: string;
  readonly ready: boolean;
  /** `yes`, or `no: ` and the reason. */
  readonly readyText: string;
  readonly podName?: string;
  /** Machine that the pod runs on. */
  readonly nodeName?: string;
  readonly peerId?: string;
  readonly backend?: string;
  readonly peers?: number;
  readonly chunks?: { readonly held: number; readonly assigned: number; readonly bytes: number };
  readonly updates?: number;
  readonly loss?: number;
  readonly accuracy?: number;
  /** 0..1. */
  readonly reputation?: number;
}

/** empty: nothing is there. troubled: a person should act. converged: every target is reached. Else at work. */
export type Verdict = 'empty' | 'troubled' | 'converged' | 'learning' | 'starting';

/** All of it. */
export interface FleetState {
  readonly verdict: Verdict;
  readonly models: readonly ModelLine[];
  readonly fleets: readonly FleetLine[];
  readonly validators: readonly ValidatorLine[];
  readonly problems: readonly Problem[];
}

/** @param now milliseconds since the epoch */
export function fleetState(listed: Listed, now: number): FleetState {
  const models = listed.models.map((model) => modelLine(model, listed.shards)).sort(byName);
  const fleets = listed.fleets.map(fleetLine).sort(byName);
  const validators = listed.nodes.map(validatorLine).sort(byName);
  const problems = problemsOf(listed, now);
  return { verdict: judge(models, validators, problems), models, fleets, validators, problems };
}

function judge(
  models: readonly ModelLine[],
  validators: readonly ValidatorLine[],
  problems: readonly Problem[],
): Verdict {
  if (models.length === 0 && validators.length === 0) return 'empty';
  if (problems.length > 0) return 'troubled';
  const aimed = models.filter((model) => model.target !== undefined);
  if (aimed.length > 0 && aimed.every((model) => model.converged)) return 'converged';
  return models.some((model) => (model.updates ?? 0) > 0) ? 'learning' : 'starting';
}

function fleetLine(fleet: ValidatorFleet): FleetLine {
  return {
    ...placeOf(fleet),
    network: fleet.spec.template.spec.network,
    ready: isReady(fleet),
    desiredReplicas: fleet.spec.replicas,
    readyReplicas: fleet.status?.readyReplicas ?? 0,
    updatedReplicas: fleet.status?.updatedReplicas ?? 0,
  };
}

function modelLine(model: Model, shards: readonly ModelShard[]): ModelLine {
  const { status } = model;
  const target = model.spec.learning.target;
  const converged = findCondition(model, MODEL_CONDITIONS.Converged);
  return {
    ...placeOf(model),
    network: model.spec.network,
    ready: isReady(model),
    converged: converged?.status === 'True',
    ...known('convergedAfter', convergedAfter(model, converged)),
    ...known('timeToTarget', milliseconds(status?.target?.secondsTaken)),
    ...known('timeLeft', milliseconds(status?.target?.secondsLeft)),
    ...known('target', target && { metric: target.metric, value: Number(target.value) }),
    ...known('accuracy', number(status?.accuracy)),
    ...known('loss', number(status?.loss)),
    ...known('divergence', number(status?.divergence)),
    ...known('updates', status?.updates),
    ...known('version', versionOf(model)),
    shards: shardsOf(model, shards),
  };
}

function versionOf(model: Model): ModelLine['version'] {
  const version = model.status?.version;
  if (version === undefined) return undefined;
  const { cid, short, age, certifiedBy, bytes, chunks } = version;
  return { cid, short, updates: age, ...known('certifiedBy', certifiedBy), bytes, chunks };
}

/** The model's own count, which also knows of shards not yet made; the shards themselves where it says none. */
function shardsOf(model: Model, shards: readonly ModelShard[]): ModelLine['shards'] {
  const said = model.status?.shards;
  if (said !== undefined) return { total: said.total, replicated: said.ready };
  const own = shards.filter(
    (shard) =>
      shard.metadata.namespace === model.metadata.namespace && shard.spec.modelRef.name === model.metadata.name,
  );
  const replicated = own.filter((shard) => (shard.status?.availableReplicas ?? 0) >= shard.spec.replicas).length;
  return { total: own.length, replicated };
}

function convergedAfter(model: Model, converged: Condition | undefined): number | undefined {
  const from = Date.parse(model.metadata.creationTimestamp ?? '');
  const to = converged?.status === 'True' ? Date.parse(converged.lastTransitionTime) : Number.NaN;
  return Number.isFinite(to - from) && to >= from ? to - from : undefined;
}

function validatorLine(node: ValidatorNode): ValidatorLine {
  const { status } = node;
  const model = status?.models?.[0];
  const ready = findCondition(node, NODE_CONDITIONS.Ready);
  const chunks = status?.chunks;
  return {
    ...placeOf(node),
    network: node.spec.network,
    ready: isReady(node),
    readyText: ready === undefined ? 'no: not seen yet' : readyText(ready),
    ...known('podName', status?.podName),
    ...known('nodeName', status?.nodeName),
    ...known('peerId', status?.peerId),
    ...known('backend', status?.backend),
    ...known('peers', status?.peers),
    ...known('chunks', chunks && { held: chunks.held, assigned: chunks.assigned, bytes: chunks.bytes }),
    ...known('updates', status?.updates ?? model?.age),
    ...known('loss', number(model?.loss)),
    ...known('accuracy', number(model?.accuracy)),
    ...known('reputation', number(status?.reputation?.score)),
  };
}

const isReady = (object: Conditioned): boolean => findCondition(object, NODE_CONDITIONS.Ready)?.status === 'True';

const placeOf = (object: {
  readonly metadata: { readonly namespace?: string | undefined; readonly name: string };
}) => ({
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name,
});

/** By namespace, then by name with numbers in their order: flock-2 before flock-10. */
function byName(a: { namespace: string; name: string }, b: { namespace: string; name: string }): number {
  return a.namespace.localeCompare(b.namespace, 'en') || a.name.localeCompare(b.name, 'en', { numeric: true });
}

/** Statuses hold measured numbers as text; what is not a number is not known. */
function number(text: string | undefined): number | undefined {
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

const milliseconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1000;

/** A field that is left out where its value is not known. */
function known<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V });
}
