import type {
  EventsV1Event,
  V1ConfigMap,
  V1Deployment,
  V1Lease,
  V1Namespace,
  V1Node,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1Secret,
  V1Service,
} from '@kubernetes/client-node';
import type { KubeObject } from './objects.ts';

declare const objectType: unique symbol;

/** What must be known of a kind to speak to the API server about it. `T` is the type of its objects. */
export interface Kind<T extends KubeObject = KubeObject> {
  /** API group; empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Lower-case plural, as in URLs. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: carries the type of the objects. */
  readonly [objectType]?: T;
}

/** Any kind, where the type of its objects does not matter. */
export type AnyKind = Kind<KubeObject>;

/** Describes a kind of one's own: `const Widget = defineKind<Widget>({ group: 'example.dev', ... })`. */
export function defineKind<T extends KubeObject>(kind: Omit<Kind<T>, typeof objectType>): Kind<T> {
  return Object.freeze({ ...kind });
}

/** `group/version`, or `version` for the core group: the `apiVersion` of the kind's objects. */
export function apiVersionOf(kind: AnyKind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/** `Kind.group`: the name of a kind in logs, metrics and maps. */
export function kindText(kind: AnyKind): string {
  return kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
}

/**
 * A type of `@kubernetes/client-node` as it is on the wire: that client turns times into `Date` and renames fields such
 * as `from` to `_from`; raw JSON does neither. Everything is readonly, because objects from a store are shared; an
 * optional field may be given as `undefined`, which JSON leaves out.
 */
export type Raw<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? readonly Raw<U>[]
    : T extends object
      ? {
          readonly [K in keyof T as K extends `_${infer Name}` ? Name : K]:
            | Raw<T[K]>
            | (undefined extends T[K] ? undefined : never);
        }
      : T;

type Core<T, ApiVersion extends string, Name extends string> = Omit<Raw<T>, 'apiVersion' | 'kind' | 'metadata'> &
  KubeObject & { readonly apiVersion: ApiVersion; readonly kind: Name };

export type Pod = Core<V1Pod, 'v1', 'Pod'>;
export type Secret = Core<V1Secret, 'v1', 'Secret'>;
export type Service = Core<V1Service, 'v1', 'Service'>;
export type ConfigMap = Core<V1ConfigMap, 'v1', 'ConfigMap'>;
export type PersistentVolumeClaim = Core<V1PersistentVolumeClaim, 'v1', 'PersistentVolumeClaim'>;
export type Namespace = Core<V1Namespace, 'v1', 'Namespace'>;
export type Node = Core<V1Node, 'v1', 'Node'>;
export type Event = Core<EventsV1Event, 'events.k8s.io/v1', 'Event'>;
export type Lease = Core<V1Lease, 'coordination.k8s.io/v1', 'Lease'>;
export type Deployment = Core<V1Deployment, 'apps/v1', 'Deployment'>;
export type PodDisruptionBudget = Core<V1PodDisruptionBudget, 'policy/v1', 'PodDisruptionBudget'>;

const core = { group: '', version: 'v1' } as const;

export const Pod = defineKind<Pod>({ ...core, kind: 'Pod', plural: 'pods', namespaced: true });
export const Secret = defineKind<Secret>({ ...core, kind: 'Secret', plural: 'secrets', namespaced: true });
export const Service = defineKind<Service>({ ...core, kind: 'Service', plural: 'services', namespaced: true });
export const ConfigMap = defineKind<ConfigMap>({ ...core, kind: 'ConfigMap', plural: 'configmaps', namespaced: true });
export const PersistentVolumeClaim = defineKind<PersistentVolumeClaim>({
  ...core,
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  namespaced: true,
});
export const Namespace = defineKind<Namespace>({ ...core, kind: 'Namespace', plural: 'namespaces', namespaced: false });
export const Node = defineKind<Node>({ ...core, kind: 'Node', plural: 'nodes', namespaced: false });
export const Event = defineKind<Event>({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
});
export const Lease = defineKind<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
});
export const Deployment = defineKind<Deployment>({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
});
export const PodDisruptionBudget = defineKind<PodDisruptionBudget>({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  namespaced: true,
});

/** The kinds described here. A controller knows them without being told. */
export const coreKinds: readonly AnyKind[] = [
  Pod,
  Secret,
  Service,
  ConfigMap,
  PersistentVolumeClaim,
  Namespace,
  Node,
  Event,
  Lease,
  Deployment,
  PodDisruptionBudget,
];
