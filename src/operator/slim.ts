import { LABELS, USER_ENTRY_FIELDS } from '../api/index.ts';
import type {
  ConfigMap,
  Existing,
  KubeObject,
  Node,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  Secret,
  Service,
} from '../kube/index.ts';
import type { StakeKeyReservation, ValidatorFleet, ValidatorNode } from './kinds.ts';

/**
 * What the stores keep of each kind: what some reconcile reads, and equal parts once. With ten thousand validators of
 * seven objects each, this is what the operator's memory is made of.
 *
 * Trimming what is trimmed changes nothing. What is shared is never changed, as nothing in a store is.
 */

/** Enough for the texts of ten thousand validators; then it starts anew, and what was shared lives on in its users. */
const MOST_SHARED = 200_000;
const texts = new Map<string, string>();
const values = new Map<string, unknown>();

function text<T extends string | undefined>(value: T): T {
  if (value === undefined) return value;
  const present = texts.get(value);
  if (present !== undefined) return present as T;
  if (texts.size >= MOST_SHARED) texts.clear();
  texts.set(value, value);
  return value;
}

/** As {@link text}, for what few others have: not remembered for its own sake. */
const known = (value: string): string => texts.get(value) ?? value;

/** The first value that was equal to this one. */
function shared<T>(value: T): T {
  if (value === undefined) return value;
  const json = JSON.stringify(value);
  const present = values.get(json);
  if (present !== undefined) return present as T;
  if (values.size >= MOST_SHARED) values.clear();
  values.set(json, value);
  return value;
}

type Metadata = Existing<KubeObject>['metadata'];
type Texts = Readonly<Record<string, string>> | undefined;

/** Labels by which objects find their validator. */
const FINDING: readonly string[] = [LABELS.node, LABELS.network, LABELS.fleet];

const only = (all: Texts, wanted: (name: string) => boolean): Texts => {
  const kept = Object.entries(all ?? {}).filter(([name]) => wanted(name));
  if (kept.length === 0) return undefined;
  return Object.fromEntries(kept.map(([name, value]) => [name, text(value)]));
};

/** Name, version, owners and end of an object, and of its labels and annotations what is given. */
function metadataOf({ metadata }: Existing<KubeObject>, labels?: Texts, annotations?: Texts): Metadata {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = metadata;
  const { deletionTimestamp, finalizers, ownerReferences } = metadata;
  return {
    name: known(name),
    uid: known(uid),
    resourceVersion,
    creationTimestamp: text(creationTimestamp),
    ...(namespace === undefined ? {} : { namespace: text(namespace) }),
    ...(generation === undefined ? {} : { generation }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(finalizers === undefined ? {} : { finalizers: shared(finalizers) }),
    ...(ownerReferences === undefined
      ? {}
      : {
          ownerReferences: ownerReferences.map((owner) => ({
            apiVersion: text(owner.apiVersion),
            kind: text(owner.kind),
            name: text(owner.name),
            uid: text(owner.uid),
            ...(owner.controller === undefined ? {} : { controller: owner.controller }),
            ...(owner.blockOwnerDeletion === undefined ? {} : { blockOwnerDeletion: owner.blockOwnerDeletion }),
          })),
        }),
  };
}

const isOfOperator = (annotation: string): boolean => annotation.startsWith('murmuration');

const finding = (object: KubeObject): Texts => only(object.metadata.labels, (name) => FINDING.includes(name));

/** `kubectl apply` keeps a whole copy of the object in this one. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

export function slimNode(node: Existing<ValidatorNode>): Existing<ValidatorNode> {
  const { apiVersion, kind, spec, status } = node;
  const { labels, annotations } = node.metadata;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(node, shared(labels), shared(only(annotations, (name) => name !== LAST_APPLIED))),
    spec: shared(spec),
    ...(status === undefined
      ? {}
      : {
          status: {
            ...status,
            ...(status.conditions === undefined ? {} : { conditions: status.conditions.map(shared) }),
          },
        }),
  } as Existing<ValidatorNode>;
}

/** Its spec stays one object while only its status changes: what follows from the template is remembered by it. */
export function slimFleet(fleet: Existing<ValidatorFleet>): Existing<ValidatorFleet> {
  return { ...fleet, spec: { ...fleet.spec, template: shared(fleet.spec.template) } };
}

export function slimReservation(reservation: Existing<StakeKeyReservation>): Existing<StakeKeyReservation> {
  const { apiVersion, kind, spec, status } = reservation;
  const { namespace, name, uid } = spec.nodeRef;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(reservation),
    spec: {
      publicKey: text(spec.publicKey),
      nodeRef: { namespace: text(namespace), name: text(name), uid: text(uid) },
    },
    ...(status === undefined
      ? {}
      : {
          status: {
            ...status,
            ...(status.conditions === undefined
              ? {}
              : {
                  conditions: status.conditions.map((condition) => ({
                    ...condition,
                    type: text(condition.type),
                    reason: text(condition.reason),

                    lastTransitionTime: text(condition.lastTransitionTime),
                  })),
                }),
          },
        }),
  } as Existing<StakeKeyReservation>;
}

export function slimPod(pod: Existing<Pod>): Existing<Pod> {
  const { apiVersion, kind, spec, status } = pod;
  const containers = (spec?.containers ?? []).filter(({ name }) => name === 'validator');
  // Of a container that runs nothing is told.
  const waiting = (of: NonNullable<Pod['status']>['containerStatuses']) =>
    of?.filter(({ state }) => state?.waiting !== undefined);
  const [inits, mains] = [waiting(status?.initContainerStatuses), waiting(status?.containerStatuses)];
  const conditions = status?.conditions
    ?.filter(({ type }) => type === 'Ready' || type === 'PodScheduled')
    .map(({ type, status: is, message }) => ({ type, status: is, ...(message === undefined ? {} : { message }) }));
  return {
    apiVersion,
    kind,
    metadata: metadataOf(pod, finding(pod), only(pod.metadata.annotations, isOfOperator)),
    spec: {
      ...(spec?.nodeName === undefined ? {} : { nodeName: text(spec.nodeName) }),
      containers: shared(containers.map(({ name, image }) => ({ name, ...(image === undefined ? {} : { image }) }))),
    },
    status: {
      ...(status?.phase === undefined ? {} : { phase: text(status.phase) }),
      ...(status?.podIP === undefined ? {} : { podIP: status.podIP }),
      ...(status?.message === undefined ? {} : { message: status.message }),
      ...(conditions === undefined ? {} : { conditions: shared(conditions) }),
      ...(inits === undefined || inits.length === 0 ? {} : { initContainerStatuses: inits }),
      ...(mains === undefined || mains.length === 0 ? {} : { containerStatuses: mains }),
    },
  } as Existing<Pod>;
}

/** All that we set, since it is put right where somebody edits it. */
export function slimService(service: Existing<Service>): Existing<Service> {
  const { apiVersion, kind, spec } = service;
  const { labels, annotations } = service.metadata;
  const { clusterIP, publishNotReadyAddresses, selector, ports } = spec ?? {};
  return {
    apiVersion,
    kind,
    metadata: metadataOf(
      service,
      only(labels, () => true),
      only(annotations, isOfOperator),
    ),
    spec: {
      ...(clusterIP === undefined ? {} : { clusterIP: text(clusterIP) }),
      ...(publishNotReadyAddresses === undefined ? {} : { publishNotReadyAddresses }),
      ...(selector === undefined ? {} : { selector: only(selector, () => true) }),
      ...(ports === undefined ? {} : { ports: shared(ports) }),
    },
  } as Existing<Service>;
}

export function slimSecret(secret: Existing<Secret>): Existing<Secret> {
  const { apiVersion, kind, data } = secret;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(secret, finding(secret)),
    ...(data === undefined ? {} : { data }),
  } as Existing<Secret>;
}

/** Anybody may have put anything into it: what no entry has is left out, and what is too long for one. */
export function slimUser(entry: Existing<ConfigMap>): Existing<ConfigMap> {
  const { apiVersion, kind, data } = entry;
  const fields = Object.values(USER_ENTRY_FIELDS).flatMap((field) => {
    const value = data?.[field];
    return value === undefined || value.length > 128 ? [] : [[field, value] as const];
  });
  return {
    apiVersion,
    kind,
    metadata: metadataOf(entry, finding(entry)),
    data: Object.fromEntries(fields),
  } as Existing<ConfigMap>;
}

export function slimVolume(volume: Existing<PersistentVolumeClaim>): Existing<PersistentVolumeClaim> {
  const { apiVersion, kind, spec, status } = volume;
  const requests = spec?.resources?.requests;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(volume, finding(volume)),
    spec: shared({ ...(requests === undefined ? {} : { resources: { requests } }) }),
    status: shared({ ...(status?.phase === undefined ? {} : { phase: status.phase }) }),
  } as Existing<PersistentVolumeClaim>;
}

/** A machine's labels tell where it is; all else that matters is whether its kubelet answers, and whether it is cordoned. */
export function slimMachine(machine: Existing<Node>): Existing<Node> {
  const { apiVersion, kind, spec, status } = machine;
  const conditions = status?.conditions
    ?.filter(({ type }) => type === 'Ready')
    .map(({ type, status: is }) => ({ type, status: is }));
  return {
    apiVersion,
    kind,
    metadata: metadataOf(machine, shared(machine.metadata.labels)),
    spec: spec?.unschedulable === true ? { unschedulable: true } : {},
    status: { conditions: shared(conditions ?? []) },
  } as unknown as Existing<Node>;
}

/** All that we set; how many pods are up is the disruption controller's to count. */
export function slimBudget(budget: Existing<PodDisruptionBudget>): Existing<PodDisruptionBudget> {
  const { apiVersion, kind, spec } = budget;
  return {
    apiVersion,
    kind,
    metadata: metadataOf(
      budget,
      only(budget.metadata.labels, () => true),
      only(budget.metadata.annotations, isOfOperator),
    ),
    ...(spec === undefined ? {} : { spec }),
  } as Existing<PodDisruptionBudget>;
}
