import { COLUMNS } from './columns.ts';
import { KINDS, type Kind, type KindName } from './kinds.ts';
import { GROUP, VERSION } from './names.ts';
import { type JsonSchema, structuralSchema } from './structural.ts';

/** What a CustomResourceDefinition says of a kind that its schema does not. */
const DESCRIPTIONS: Readonly<Record<KindName, string>> = {
  ValidatorNode: 'One validator: one pod, one volume, one identity key, one stake key.',
  ValidatorFleet: 'A set of equal validators made from one template.',
  Model: 'A learning task: architecture, data and how to learn.',
  ModelShard: "A contiguous range of a model version's chunks, the unit of placement.",
  StakeKeyReservation: 'The lock that a stake key is used by one ValidatorNode at a time.',
};

/** `kubectl scale vf/...` and autoscalers. */
const SCALE = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.status.selector',
} as const;

/** The schema of a whole object; metadata is the API server's own business. */
function objectSchema(name: KindName, kind: Kind): JsonSchema {
  const schema = structuralSchema(kind.schema);
  const properties = schema.properties ?? {};
  return {
    ...schema,
    description: DESCRIPTIONS[name],
    properties: {
      ...properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
    },
    required: ['spec'],
  };
}

/** The CustomResourceDefinition of a kind, as plain JSON. */
export function customResourceDefinition(name: KindName) {
  const kind: Kind = KINDS[name];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}`, labels: { 'app.kubernetes.io/name': 'murmuration' } },
    spec: {
      group: GROUP,
      scope: kind.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: ['murmuration'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: COLUMNS[name],
          subresources: { status: {}, ...(name === 'ValidatorFleet' ? { scale: SCALE } : {}) },
          schema: { openAPIV3Schema: objectSchema(name, kind) },
        },
      ],
    },
  };
}
export type CustomResourceDefinition = ReturnType<typeof customResourceDefinition>;
