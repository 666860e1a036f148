import { z } from 'zod';
import { ready, statusBase } from './conditions.ts';
import { annotations, filePath, label, labels, localRef, object, objectName, plainName } from './metadata.ts';
import { DEFAULT_NETWORK, NAME_MAX } from './names.ts';
import { amounts, isQuantity, parseQuantity, size } from './quantity.ts';
import { atMostOne, exactlyOne, immutable, pick, ruled, type Transition, text, whole } from './rules.ts';

const imageName = text(
  /^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/,
  512,
  'image must be an image reference such as "registry.example/murmuration:0.1.0", without spaces.',
);

const resourceClaim = ruled(
  z.object({
    name: label('resourceClaims.name').describe('Name by which the container asks for the claim.'),
    resourceClaimName: objectName('resourceClaimName').optional().describe('An existing ResourceClaim.'),
    resourceClaimTemplateName: objectName('resourceClaimTemplateName')
      .optional()
      .describe('A template to make a ResourceClaim from for each pod.'),
  }),
  [
    exactlyOne(
      ['resourceClaimName', 'resourceClaimTemplateName'],
      'a resource claim must set exactly one of resourceClaimName and resourceClaimTemplateName.',
    ),
  ],
);

const gpu = ruled(
  z.object({
    count: whole(1, 16).default(1).describe('GPUs of one validator.'),
    resourceName: text(
      /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/,
      253,
      'gpu.resourceName must be an extended resource such as "nvidia.com/gpu".',
    )
      .optional()
      .describe('Extended resource of the device plugin; nvidia.com/gpu where neither this nor resourceClaims is set.'),
    resourceClaims: ruled(z.array(resourceClaim).min(1).max(8), [
      {
        cel: 'self.all(one, self.exists_one(other, other.name == one.name))',
        says: 'gpu.resourceClaims must not name a claim twice: give each a name of its own.',
        holds: (self) => new Set(self.map(({ name }) => name)).size === self.length,
      },
    ])
      .optional()
      .describe('GPUs by dynamic resource allocation, instead of resourceName.'),
  }),
  [atMostOne(['resourceName', 'resourceClaims'], 'gpu takes resourceName or resourceClaims, not both: remove one.')],
);

const PLAIN_RESOURCES: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** What is no quantity is refused by a rule of its own. */
const isWithin = (amount: string | number, limit: string | number = amount): boolean =>
  ![amount, limit].every((one) => isQuantity(String(one))) || parseQuantity(amount) <= parseQuantity(limit);

const resources = ruled(
  z.object({
    requests: amounts.default({ cpu: '50m', memory: '256Mi' }).describe('What the scheduler sets aside.'),
    limits: amounts.default({ memory: '768Mi' }).describe('What the container may not exceed.'),
    gpu: gpu.optional().describe('GPUs to train on; none where absent.'),
  }),
  [
    {
      cel:
        // these three: looking at every name that there may be is more than CEL can afford
        "!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(name, " +
        '!(name in self.requests) || !(name in self.limits) || quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)',
      says: 'resources.requests must not be more than resources.limits: raise the limit, or request less.',
      at: '.requests',
      holds: ({ requests, limits }) =>
        Object.entries(requests)
          .filter(([name]) => PLAIN_RESOURCES.has(name))
          .every(([name, amount]) => isWithin(amount, limits[name])),
    },
  ],
);

/** @param below where the spec of a validator is: a template's, or the whole */
export const storageGrows = (below: '' | 'template.spec.' = ''): Transition => {
  const path = `${below}storage.size`;
  const sizeOf = (spec: unknown): number => {
    const value = pick(spec, path.split('.'));
    return typeof value === 'string' ? parseQuantity(value) : 0;
  };
  return {
    cel: `quantity(self.${path}).compareTo(quantity(oldSelf.${path})) >= 0`,
    says: `${path} can grow but not shrink: keep the present size or ask for more.`,
    at: `.${path}`,
    holds: (self, before) => sizeOf(self) >= sizeOf(before),
  };
};

/** Keys are never made where another was in use, so who brought one goes on bringing it. */
const staysBrought: Transition = {
  cel: 'has(self.stake.keySecretRef) == has(oldSelf.stake.keySecretRef)',
  says:
    'stake.keySecretRef can name another Secret, but cannot be added or removed once the ValidatorNode exists. ' +
    'Make a new ValidatorNode for the other key.',
  at: '.stake',
  holds: (self, before) => isBrought(self) === isBrought(before),
};
const isBrought = (spec: unknown): boolean => pick(spec, ['stake', 'keySecretRef']) !== undefined;

const storage = z.object({
  size: size.default('1Gi').describe('Size of the volume that holds chunks, charters and learning state.'),
  storageClassName: objectName('storage.storageClassName')
    .optional()
    .describe("Storage class of the volume; the cluster's default where absent."),
  retain: z
    .enum(['Retain', 'Delete'])
    .default('Delete')
    .describe('What becomes of the volume when the ValidatorNode is deleted.'),
});

const ownData = ruled(
  z.object({
    claimName: objectName('data.claimName').optional().describe('PersistentVolumeClaim that holds the data.'),
    configMap: objectName('data.configMap').optional().describe('ConfigMap that holds the data.'),
    file: filePath('data.file', 'data.csv')
      .default('data.csv')
      .describe('File within the claim, or key of the ConfigMap.'),
  }),
  [exactlyOne(['claimName', 'configMap'], 'data must set exactly one of claimName and configMap.')],
);

const podTemplate = z.looseObject({
  metadata: z
    .object({
      labels: labels.optional().describe('Labels of the pod.'),
      annotations: annotations.optional().describe('Annotations of the pod.'),
    })
    .optional()
    .describe('Labels and annotations that the pod has besides its own.'),
  spec: z.looseObject({}).optional().describe('Pod spec in part: scheduling, env, volumes. Merged last.'),
});

/** Rules about changes of a ValidatorNode's spec. */
export const nodeTransitions: readonly Transition[] = [
  immutable('network', 'Make a new ValidatorNode in the other network.'),
  immutable('identity', 'An identity is for life: make a new ValidatorNode for another one.'),
  immutable('storage.storageClassName', 'Make a new ValidatorNode to move to another storage class.'),
  storageGrows(),
  staysBrought,
];

const nodeFields = z.object({
  network: label('network')
    .default(DEFAULT_NETWORK)
    .describe('Overlay to join: validators of one namespace with the same network gossip with each other.'),
  image: imageName.optional().describe("Image of the validator; the operator's own release where absent."),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  imagePullSecrets: z
    .array(localRef('imagePullSecrets', 'Secret with registry credentials'))
    .max(16)
    .default([])
    .describe('Secrets to pull the image with.'),
  resources: resources.prefault({}).describe('CPU, memory and GPUs of the validator.'),
  storage: storage.prefault({}).describe('The volume.'),
  identity: z
    .object({
      secretRef: localRef('identity.secretRef', 'Secret with the identity key')
        .optional()
        .describe('Secret with the key of the peer id; made by the operator where absent.'),
    })
    .prefault({})
    .describe('Who this validator is on the network.'),
  stake: z
    .object({
      amount: whole(1, 1_000_000_000).default(1).describe('Stake, which is the weight of its vote.'),
      keySecretRef: localRef('stake.keySecretRef', 'Secret with the stake key')
        .optional()
        .describe('Secret with the key that signs votes; made by the operator where absent.'),
    })
    .prefault({})
    .describe('What this validator signs with, and how much that counts.'),
  data: ownData.optional().describe('Data that never leave this validator, for models with partition: own.'),
  cordon: z
    .boolean()
    .default(false)
    .describe('Assign no new chunks and copy away what it holds; condition Drained tells when it may go.'),
  paused: z.boolean().default(false).describe('Leave all as it is: the operator changes nothing while this is true.'),
  podTemplate: podTemplate
    .optional()
    .describe('Escape hatch merged into the pod last: scheduling, labels, env, volumes.'),
});

/** Spec of a ValidatorNode, also the template of a fleet. */
export const ValidatorNodeSpec = ruled(nodeFields, [], nodeTransitions);
/** Spec within a fleet's template, where no key can be named: each validator needs its own. */
export const TemplateSpec = ruled(nodeFields, [
  {
    // a default is checked before the defaults within it are filled in, so nothing can be taken for granted
    cel: '!(has(self.identity) && has(self.identity.secretRef)) && !(has(self.stake) && has(self.stake.keySecretRef))',
    says:
      'template.spec must not name identity.secretRef or stake.keySecretRef: every validator needs keys of its own. ' +
      'Remove them, or make ValidatorNodes one by one.',
    holds: (self) => self.identity.secretRef === undefined && self.stake.keySecretRef === undefined,
  },
]);
export type ValidatorNodeSpec = z.output<typeof ValidatorNodeSpec>;

const count = z.int().min(0);
/** A measured number as text, such as "0.957". */
const measured = z.string().max(32);

const nodeStatus = z.object({
  ...statusBase,
  ready,
  peerId: z.string().max(128).optional().describe('Identity on the network.'),
  podName: z.string().max(253).optional(),
  nodeName: z.string().max(253).optional().describe('Machine that the pod runs on.'),
  version: z.string().max(128).optional().describe('Release of the software that the validator reports.'),
  backend: z.string().max(64).optional().describe('What it computes with: tensorflow-gpu, tensorflow, wasm or cpu.'),
  peers: count.optional().describe('Validators that it is connected to.'),
  updates: count.optional().describe('Age of its model: local updates that the model has seen.'),
  chunks: z
    .object({
      held: count.describe('Chunks on its disk, of those assigned.'),
      assigned: count.describe('Chunks that it should hold.'),
      bytes: count.describe('Bytes of the chunks held.'),
      summary: z.string().max(32).describe('Held of assigned: "6/6".'),
    })
    .optional(),
  models: z
    .array(
      z.object({
        name: z.string().max(253),
        age: count,
        loss: measured.optional(),
        accuracy: measured.optional(),
      }),
    )
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional()
    .describe('What it learns, by model.'),
  reputation: z
    .object({
      score: measured,
      storage: measured.optional(),
      learning: measured.optional(),
      interactions: measured.optional(),
    })
    .optional()
    .describe("0 to 1, from its neighbours' reports."),
  stake: z
    .object({
      publicKey: z.string().max(132).optional().describe('Public half of the stake key, in hex.'),
      reserved: z.boolean().describe('The StakeKeyReservation names this node.'),
    })
    .optional(),
});

/** One validator: one pod, one volume, one identity key, one stake key. */
export const ValidatorNode = object('ValidatorNode', ValidatorNodeSpec, nodeStatus, [
  plainName('ValidatorNode', NAME_MAX),
]);
export type ValidatorNode = z.output<typeof ValidatorNode>;
export type ValidatorNodeStatus = z.output<typeof nodeStatus>;
