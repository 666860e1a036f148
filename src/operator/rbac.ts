/** One rule of a Role or ClusterRole. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

const READ = ['get', 'list', 'watch'] as const;

/**
 * What the controllers need of kinds that live in namespaces, wherever they look after them: a ClusterRole, or a Role in
 * each of `watchNamespaces`. The chart is held against this by a test.
 */
export const NAMESPACED_RULES: readonly PolicyRule[] = [
  { apiGroups: ['murmuration.dev'], resources: ['validatorfleets', 'models'], verbs: [...READ] },
  {
    apiGroups: ['murmuration.dev'],
    resources: ['validatornodes', 'modelshards'],
    verbs: [...READ, 'create', 'patch', 'delete'],
  },
  {
    apiGroups: ['murmuration.dev'],
    resources: ['validatorfleets/status', 'validatornodes/status', 'models/status', 'modelshards/status'],
    verbs: ['patch'],
  },
  // blockOwnerDeletion on owner references, where OwnerReferencesPermissionEnforcement is on.
  {
    apiGroups: ['murmuration.dev'],
    resources: ['validatorfleets/finalizers', 'validatornodes/finalizers', 'models/finalizers'],
    verbs: ['update'],
  },
  { apiGroups: [''], resources: ['pods', 'services'], verbs: [...READ, 'create', 'delete'] },
  { apiGroups: [''], resources: ['secrets'], verbs: [...READ, 'create', 'delete'] },
  { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: [...READ, 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['configmaps'], verbs: [...READ, 'create', 'patch', 'delete'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: [...READ, 'create', 'patch'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];

/** What they need of kinds that live in no namespace: always a ClusterRole. */
export const CLUSTER_RULES: readonly PolicyRule[] = [
  {
    apiGroups: ['murmuration.dev'],
    resources: ['stakekeyreservations'],
    verbs: [...READ, 'create', 'delete'],
  },
  { apiGroups: ['murmuration.dev'], resources: ['stakekeyreservations/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['namespaces', 'nodes'], verbs: [...READ] },
];

/** What the operator needs in its own namespace: its lease, and the authority key with its record. */
export const OWN_RULES: readonly PolicyRule[] = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
  { apiGroups: [''], resources: ['secrets', 'configmaps'], verbs: ['get', 'create'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
];
