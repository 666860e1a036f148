// Composition root of the operator: one folder a kind (plan.ts pure, children/*.ts one object each, controller.ts thin),
// network/ for charters and what is heard from peers, authority/ for the key that signs them.
// The command line imports startOperator; the chart's tests import the RBAC rules; nothing else is for others.
export { type OperatorOptions, type RunningOperator, startOperator } from './operator.ts';
export { CLUSTER_RULES, NAMESPACED_RULES, OWN_RULES, type PolicyRule } from './rbac.ts';
