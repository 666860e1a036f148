import type { KindName } from '../../../src/api/index.ts';

/** A document, or a change of one, and what zod and the API server must both say of it. */
export interface Case {
  /** Reads after "a <kind>": "with no spec fields at all". */
  readonly title: string;
  readonly kind: KindName;
  readonly spec: unknown;
  /** metadata.name where the name is what is judged. */
  readonly name?: string;
  /** The spec that is there before, where the change is what is judged. */
  readonly before?: unknown;
  /** Part of the sentence that the API server answers, with field and fix; absent where the document is valid. */
  readonly says?: string;
}

type Fields = Readonly<Record<string, unknown>>;
const digits = { source: { builtin: 'digits' }, classes: 10 };
const KEY = 'ab'.repeat(33);
const OTHER_KEY = 'cd'.repeat(33);
const SHA = 'e'.repeat(64);

const node = (title: string, spec: unknown, says?: string): Case => ({
  title,
  kind: 'ValidatorNode',
  spec,
  ...(says === undefined ? {} : { says }),
});
const fleet = (title: string, spec: unknown, says?: string): Case => ({
  ...node(title, spec, says),
  kind: 'ValidatorFleet',
});
const model = (title: string, spec: Fields, says?: string): Case => ({
  ...node(title, { data: digits, ...spec }, says),
  kind: 'Model',
});
const withData = (title: string, data: Fields, says?: string): Case =>
  model(title, { data: { ...digits, ...data } }, says);
const learning = (title: string, fields: Fields, says?: string): Case => model(title, { learning: fields }, says);
const shard = (title: string, spec: Fields, says?: string): Case => ({
  ...node(title, { modelRef: { name: 'digits' }, index: 0, of: 2, ...spec }, says),
  kind: 'ModelShard',
});
const reservation = (title: string, spec: Fields, says?: string): Case => ({
  ...node(title, { publicKey: KEY, nodeRef: { namespace: 'default', name: 'flock-0', uid: 'u-1' }, ...spec }, says),
  kind: 'StakeKeyReservation',
});
const named = (of: Case, name: string): Case => ({ ...of, name });
/** The case as a change from `before` to its spec. */
const from = (before: Case, after: Case): Case => ({ ...after, before: before.spec });

const NODES: readonly Case[] = [
  node('with an empty spec', {}),
  node('with every field set', {
    network: 'flock',
    image: 'registry.example:5000/you/murmuration:0.1.0@sha256:abc',
    imagePullPolicy: 'Always',
    imagePullSecrets: [{ name: 'registry' }],
    resources: { requests: { cpu: 1, memory: '256Mi' }, limits: { cpu: '1500m' }, gpu: { count: 2 } },
    storage: { size: '10Gi', storageClassName: 'fast', retain: 'Retain' },
    identity: { secretRef: { name: 'who' } },
    stake: { amount: 5, keySecretRef: { name: 'stake' } },
    data: { claimName: 'mine', file: 'rows/train.csv' },
    cordon: true,
    paused: true,
    podTemplate: {
      metadata: { labels: { a: 'b' } },
      spec: { nodeSelector: { zone: 'a' }, tolerations: [{ key: 'gpu' }] },
    },
  }),
  node('with GPUs by resource claim', {
    resources: { gpu: { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'one-gpu' }] } },
  }),
  node('with a field that does not exist, which is dropped', { netwrok: 'flock' }),
  node('without a spec', undefined, 'spec: Required value'),
  named(node('with a dot in its name', {}, 'metadata.name of a ValidatorNode must be at most 52 characters'), 'a.b'),
  named(node('with a name that begins with a digit', {}, 'beginning with a letter'), '0flock'),
  named(node('with a name too long for a label', {}, 'must be at most 52 characters'), 'a'.repeat(53)),
  node('with upper case in the network', { network: 'Flock' }, 'network must be lower-case letters, digits and "-"'),
  node('with an empty network', { network: '' }, 'network must be lower-case letters'),
  node('with a network that is a number', { network: 7 }, 'spec.network in body must be of type string'),
  node('with a network of 64 characters', { network: 'a'.repeat(64) }, 'may not be more than 63'),
  node('with a space in the image', { image: 'my image' }, 'image must be an image reference such as'),
  node(
    'with a pull policy of its own',
    { imagePullPolicy: 'Sometimes' },
    'supported values: "Always", "IfNotPresent", "Never"',
  ),
  node('with a pull secret without a name', { imagePullSecrets: [{}] }, 'imagePullSecrets[0].name: Required value'),
  node(
    'with memory that is no quantity',
    { resources: { limits: { memory: 'lots' } } },
    'must be a quantity of zero or more such as',
  ),
  node('with negative cpu', { resources: { requests: { cpu: '-1' } } }, 'must be a quantity of zero or more such as'),
  node(
    'with negative cpu as a number',
    { resources: { requests: { cpu: -1 } } },
    'must be a quantity of zero or more such as',
  ),
  node(
    'with no GPU at all',
    { resources: { gpu: { count: 0 } } },
    'gpu.count in body should be greater than or equal to 1',
  ),
  node('with half a GPU', { resources: { gpu: { count: 0.5 } } }, 'gpu.count in body must be of type int'),
  node(
    'with GPUs of both sorts',
    {
      resources: {
        gpu: { resourceName: 'nvidia.com/gpu', resourceClaims: [{ name: 'gpu', resourceClaimName: 'one' }] },
      },
    },
    'gpu takes resourceName or resourceClaims, not both: remove one.',
  ),
  node(
    'with a GPU that is no extended resource',
    { resources: { gpu: { resourceName: 'gpu' } } },
    'must be an extended resource such as "nvidia.com/gpu"',
  ),
  node(
    'with a resource claim of no source',
    { resources: { gpu: { resourceClaims: [{ name: 'gpu' }] } } },
    'must set exactly one of resourceClaimName and',
  ),
  node('with a volume of no size', { storage: { size: '0' } }, 'must be a size from 1Mi to 1Pi such as "128Mi"'),
  node('with a volume of the size of the world', { storage: { size: '9999999Ei' } }, 'must be a size from 1Mi to 1Pi'),
  node('with a volume of a nanobyte', { storage: { size: '1n' } }, 'must be a size from 1Mi to 1Pi'),
  node(
    'with a volume of an odd unit',
    { storage: { size: '10 GB' } },
    'must be a size from 1Mi to 1Pi such as "128Mi"',
  ),
  node(
    'with a volume size in milli-units',
    { storage: { size: '1e3m' } },
    'must be a size from 1Mi to 1Pi such as "128Mi"',
  ),
  node('with storage to be shredded', { storage: { retain: 'Shred' } }, 'supported values: "Retain", "Delete"'),
  node(
    'with a stake of nothing',
    { stake: { amount: 0 } },
    'stake.amount in body should be greater than or equal to 1',
  ),
  node('with data from nowhere', { data: { file: 'x.csv' } }, 'data must set exactly one of claimName and configMap.'),
  node('with data from two places', { data: { claimName: 'a', configMap: 'b' } }, 'data must set exactly one of'),
  node(
    'with data outside the volume',
    { data: { claimName: 'a', file: '/etc/passwd' } },
    'must be the path of a file within the volume',
  ),
  node(
    'with data above the volume',
    { data: { claimName: 'a', file: 'a/../../b' } },
    'must be the path of a file within the volume',
  ),
  from(node('', { storage: { size: '1Gi' } }), node('whose volume grows', { storage: { size: '2Gi' } })),
  from(node('', {}), node('that is paused', { paused: true })),
  from(
    node('', { stake: { keySecretRef: { name: 'typo' } } }),
    node('whose stake secret is put right', { stake: { keySecretRef: { name: 'stake' } } }),
  ),
  from(
    node('', { stake: { keySecretRef: { name: 'stake' } } }),
    node(
      'whose own key is to take the place of the brought one',
      {},
      'stake.keySecretRef can name another Secret, but',
    ),
  ),
  from(
    node('', {}),
    node('that is brought a key later', { stake: { keySecretRef: { name: 'stake' } } }, 'cannot be added or removed'),
  ),
  node(
    'that requests more than its limit',
    { resources: { limits: { memory: '64Mi' } } },
    'resources.requests must not be more than resources.limits',
  ),
  node('that requests an exact limit', { resources: { requests: { cpu: 1 }, limits: { cpu: '1000m' } } }),
  node(
    'with two claims of one name',
    {
      resources: {
        gpu: {
          resourceClaims: [
            { name: 'gpu', resourceClaimName: 'a' },
            { name: 'gpu', resourceClaimName: 'b' },
          ],
        },
      },
    },
    'gpu.resourceClaims must not name a claim twice',
  ),
  node(
    'with a resource name of dots and dashes',
    { resources: { gpu: { resourceName: '-./_' } } },
    'gpu.resourceName must be an extended resource',
  ),
  node(
    "with a label of the operator's on its pod",
    { podTemplate: { metadata: { labels: { 'murmuration.dev/node': 'other' } } } },
    'names must not begin with murmuration.dev/',
  ),
  node(
    'with a label that is a sentence',
    { podTemplate: { metadata: { labels: { team: 'all the birds' } } } },
    'a label must be at most 63 letters, digits',
  ),
  from(
    node('', { storage: { size: '1Gi' } }),
    node('whose volume shrinks', { storage: { size: '512Mi' } }, 'storage.size can grow but not shrink'),
  ),
  from(
    node('', {}),
    node(
      'that moves to another network',
      { network: 'other' },
      'network cannot be changed once set. Make a new ValidatorNode',
    ),
  ),
  from(
    node('', { identity: { secretRef: { name: 'a' } } }),
    node('that becomes another', { identity: { secretRef: { name: 'b' } } }, 'An identity is for life'),
  ),
  from(
    node('', {}),
    node(
      'that changes its storage class',
      { storage: { storageClassName: 'fast' } },
      'storage.storageClassName cannot be changed once set',
    ),
  ),
];

const FLEETS: readonly Case[] = [
  fleet('with an empty spec', {}),
  fleet('with every field set', {
    replicas: 1000,
    template: { metadata: { labels: { a: 'b' }, annotations: { c: 'd' } }, spec: { network: 'flock', image: 'm:1' } },
    updateStrategy: { maxUnavailable: '25%', canary: { count: 1, minutes: 5 }, onRegression: 'Rollback' },
    ordinals: { start: 1 },
  }),
  fleet('of nobody', { replicas: 0 }),
  named(fleet('whose name leaves no room for ordinals', {}, 'must be at most 47 characters'), 'a'.repeat(48)),
  fleet('of fewer than nobody', { replicas: -1 }, 'spec.replicas in body should be greater than or equal to 0'),
  fleet('of too many', { replicas: 1001 }, 'spec.replicas in body should be less than or equal to 1000'),
  fleet('of "four"', { replicas: 'four' }, 'spec.replicas in body must be of type integer'),
  fleet(
    'that never updates anyone',
    { updateStrategy: { maxUnavailable: 0 } },
    'updateStrategy.maxUnavailable must be a number from 1 to 1000',
  ),
  fleet(
    'that updates 0 % at a time',
    { updateStrategy: { maxUnavailable: '0%' } },
    'or a percentage from "1%" to "100%"',
  ),
  fleet(
    'that updates 101 % at a time',
    { updateStrategy: { maxUnavailable: '101%' } },
    'or a percentage from "1%" to "100%"',
  ),
  fleet(
    'that does something unheard of',
    { updateStrategy: { onRegression: 'Panic' } },
    'supported values: "Pause", "Rollback"',
  ),
  fleet(
    'with one stake key for all',
    { template: { spec: { stake: { keySecretRef: { name: 'a' } } } } },
    'every validator needs keys of its own',
  ),
  fleet(
    'with one identity for all',
    { template: { spec: { identity: { secretRef: { name: 'a' } } } } },
    'every validator needs keys of its own',
  ),
  fleet(
    'with a broken template',
    { template: { spec: { storage: { size: 'big' } } } },
    'must be a size from 1Mi to 1Pi such as "128Mi"',
  ),
  fleet(
    'with a label that is a number',
    { template: { metadata: { labels: { a: 1 } } } },
    'labels.a in body must be of type string',
  ),
  from(fleet('', { replicas: 4 }), fleet('that grows', { replicas: 6 })),
  from(
    fleet('', {}),
    fleet(
      'whose volumes shrink',
      { template: { spec: { storage: { size: '512Mi' } } } },
      'template.spec.storage.size can grow but not shrink',
    ),
  ),
  fleet(
    "with an annotation of the operator's",
    { template: { metadata: { annotations: { 'murmuration.dev/replace-pod': 'x' } } } },
    'names must not begin with murmuration.dev/',
  ),
  from(fleet('', {}), fleet('with a new image', { template: { spec: { image: 'm:2' } } })),
  from(
    fleet('', {}),
    fleet(
      'that moves to another network',
      { template: { spec: { network: 'other' } } },
      'template.spec.network cannot be changed once set',
    ),
  ),
  from(
    fleet('', {}),
    fleet('that is numbered anew', { ordinals: { start: 5 } }, 'ordinals.start cannot be changed once set'),
  ),
];

const MODELS: readonly Case[] = [
  model('on built-in data and nothing else', {}),
  model('with every field set', {
    network: 'flock',
    architecture: {
      layers: [
        { class_name: 'Dense', config: { units: 32, activation: 'relu', useBias: true } },
        { class_name: 'Dropout', config: { rate: 0.5 } },
        { class_name: 'Dense', config: { units: 10, activation: 'softmax' } },
      ],
    },
    data: {
      source: { url: 'https://example.org/train.csv.gz' },
      sha256: SHA,
      label: 'digit',
      classes: 10,
      scale: '16',
      split: { seed: 0, testRows: 1 },
      partition: 'byLabel',
    },
    learning: {
      strategy: 'gossip',
      waitMilliseconds: 50,
      localSteps: 2,
      batchSize: 16,
      optimizer: { name: 'adam', learningRate: '0.001' },
      merge: 'limited',
      mergeLimit: 100,
      compression: { bits: 32 },
      target: { metric: 'loss', value: '2.5' },
    },
    versions: { everyAge: 100, keep: 1, quorum: '3/4', minimumVoters: 3 },
    shards: { count: 4, replicas: 2, chunkBytes: 1024 },
  }),
  withData('from a ConfigMap', { source: { configMap: { name: 'rows' } } }),
  withData('from a volume', { source: { claim: { claimName: 'rows', path: 'a/train.csv' } } }),
  model('with a preset', { architecture: { preset: 'logistic' } }),
  model('without data', { data: undefined }, 'spec.data: Required value'),
  model(
    'of two architectures',
    { architecture: { preset: 'mlp', layers: [{ class_name: 'Dense' }] } },
    'architecture takes one of preset, layers and from: remove the others.',
  ),
  model('of text', { architecture: { preset: 'text', vocabulary: 5000 } }),
  model(
    'of text without a vocabulary',
    { architecture: { preset: 'text' } },
    'architecture.vocabulary goes with preset: text, and only with it: set it to the number of tokens.',
  ),
  model(
    'with a vocabulary and no text',
    { architecture: { preset: 'cnn', vocabulary: 5000 } },
    'architecture.vocabulary goes with preset: text, and only with it',
  ),
  model(
    'of a vocabulary of one token',
    { architecture: { preset: 'text', vocabulary: 1 } },
    'architecture.vocabulary in body should be greater than or equal to 2',
  ),
  model('of a support vector machine', {
    architecture: { preset: 'pegasos', lambda: '0.001' },
    data: { source: { builtin: 'spambase' }, classes: 2 },
  }),
  model(
    'of a support vector machine for ten classes',
    { architecture: { preset: 'pegasos' } },
    'architecture.preset pegasos tells two classes apart: set data.classes to 2',
  ),
  model(
    'with lambda for nothing',
    { architecture: { preset: 'logistic', lambda: '0.001' } },
    'architecture.lambda goes with preset: pegasos, and only with it: remove it.',
  ),
  model(
    'without regularisation',
    { architecture: { preset: 'pegasos', lambda: '0' }, data: { source: { builtin: 'spambase' }, classes: 2 } },
    'architecture.lambda must be more than zero such as "0.0001".',
  ),
  model(
    'with a lambda that is no number',
    { architecture: { preset: 'pegasos', lambda: 'small' }, data: { source: { builtin: 'spambase' }, classes: 2 } },
    'architecture.lambda must be a decimal number in quotes such as "0.0001".',
  ),
  model('that starts from a model at a URL', {
    architecture: { from: { url: 'https://example.org/digits/model.json', sha256: SHA } },
  }),
  model('that starts from a model in a volume', {
    architecture: { from: { claim: { claimName: 'models', path: 'digits/model.json' }, sha256: SHA } },
  }),
  model(
    'that starts from a model without a digest',
    { architecture: { from: { url: 'https://example.org/model.json' } } },
    'architecture.from.sha256: Required value',
  ),
  model(
    'that starts from a digest too short',
    { architecture: { from: { url: 'https://example.org/model.json', sha256: 'abc' } } },
    'architecture.from.sha256 must be 64 lower-case hex digits, as sha256sum prints them.',
  ),
  model(
    'that starts from nowhere',
    { architecture: { from: { sha256: SHA } } },
    'architecture.from must set exactly one of url and claim.',
  ),
  model(
    'that starts from two places',
    { architecture: { from: { url: 'https://x/m', claim: { claimName: 'a', path: 'm' }, sha256: SHA } } },
    'architecture.from must set exactly one of url and claim.',
  ),
  model(
    'that starts from a model on an ftp server',
    { architecture: { from: { url: 'ftp://x/model.json', sha256: SHA } } },
    'architecture.from.url must begin with http:// or https://',
  ),
  model(
    'that starts from a path that climbs',
    { architecture: { from: { claim: { claimName: 'a', path: '../model.json' }, sha256: SHA } } },
    'architecture.from.claim.path must be the path of a file within the volume',
  ),
  model(
    'that starts from a model and a preset',
    { architecture: { preset: 'mlp', from: { url: 'https://x/model.json', sha256: SHA } } },
    'architecture takes one of preset, layers and from',
  ),
  model('with images', {
    architecture: { layers: [{ class_name: 'Reshape', config: { targetShape: [8, 8, 1] } }, { class_name: 'Conv2D' }] },
  }),
  model('of an unknown preset', { architecture: { preset: 'llm' } }, 'supported values: "mlp", "logistic"'),
  model(
    'of an unknown layer',
    { architecture: { layers: [{ class_name: 'Attention' }] } },
    'layers[0].class_name: Unsupported value',
  ),
  model('of no layers', { architecture: { layers: [] } }, 'layers in body should have at least 1 items'),
  withData('from nowhere', { source: {} }, 'data.source must set exactly one of builtin, url, configMap and claim.'),
  withData(
    'from two places',
    { source: { builtin: 'digits', configMap: { name: 'a' } } },
    'data.source must set exactly one of',
  ),
  withData(
    'from an unknown built-in set',
    { source: { builtin: 'imagenet' } },
    'supported values: "digits", "spambase"',
  ),
  withData(
    'from an ftp server',
    { source: { url: 'ftp://x/y' }, sha256: SHA },
    'data.source.url must begin with http:// or https://',
  ),
  withData(
    'from a URL without digest',
    { source: { url: 'https://x/y' } },
    'data.sha256 is required with data.source.url',
  ),
  withData('from a volume without path', { source: { claim: { claimName: 'a' } } }, 'claim.path: Required value'),
  withData(
    'from a path that climbs',
    { source: { claim: { claimName: 'a', path: '../b' } } },
    'must be the path of a file within the volume',
  ),
  withData('of images', {
    source: { claim: { claimName: 'a', path: 'images' } },
    format: 'images',
    shape: [28, 28, 1],
  }),
  withData('of MNIST', {
    source: { url: 'https://example.org/train-images-idx3-ubyte.gz' },
    sha256: SHA,
    format: 'idx',
    labels: { file: 'train-labels-idx1-ubyte.gz', sha256: SHA },
  }),
  withData('of arrays', { source: { configMap: { name: 'a', key: 'a.npz' } }, format: 'npz', label: 'y' }),
  withData(
    'of an unknown format',
    { source: { configMap: { name: 'a' } }, format: 'parquet' },
    'supported values: "auto", "csv", "npz", "idx", "images"',
  ),
  withData(
    'of MNIST without labels',
    { source: { configMap: { name: 'a' } }, format: 'idx' },
    'data.format idx needs labels: set data.labels.file to the name of the file that has them',
  ),
  withData(
    'of arrays with labels elsewhere',
    { source: { configMap: { name: 'a' } }, format: 'npz', labels: { file: 'b' } },
    'data.labels goes with data.format idx: other formats hold their labels themselves: remove data.labels',
  ),
  withData('with labels beside what may be MNIST', {
    source: { configMap: { name: 'a', key: 'a' } },
    labels: { file: 'b' },
  }),
  withData(
    'of labels from a URL without digest',
    { source: { url: 'https://x/y' }, sha256: SHA, format: 'idx', labels: { file: 'b' } },
    'data.labels.sha256 is required with data.source.url',
  ),
  withData(
    'with a digest of labels too short',
    { source: { configMap: { name: 'a' } }, labels: { file: 'b', sha256: 'abc' } },
    'data.labels.sha256 must be 64 lower-case hex digits',
  ),
  withData(
    'of labels above the records',
    { source: { configMap: { name: 'a' } }, labels: { file: '../b' } },
    'data.labels.file must be the path of a file within the volume',
  ),
  withData(
    'of a built-in set in another format',
    { format: 'images' },
    'data.format must be auto or csv with data.source.builtin: remove it.',
  ),
  withData('of no shape', { shape: [] }, 'data.shape in body should have at least 1 items'),
  withData('of an empty shape', { shape: [28, 0] }, 'data.shape[1] in body should be greater than or equal to 1'),
  withData('of five dimensions', { shape: [1, 2, 3, 4, 5] }, 'data.shape: Too many: 5: must have at most 4 items'),
  withData('with a digest too short', { sha256: 'abc' }, 'data.sha256 must be 64 lower-case hex digits'),
  withData('without classes', { classes: undefined }, 'spec.data.classes: Required value'),
  withData('of one class', { classes: 1 }, 'data.classes in body should be greater than or equal to 2'),
  withData('with features divided by zero', { scale: '0.0' }, 'data.scale must be more than zero'),
  withData(
    'with a scale that is no number',
    { scale: 'x' },
    'data.scale must be a decimal number in quotes such as "16"',
  ),
  withData('dealt out by taste', { partition: 'byTaste' }, 'supported values: "iid", "byLabel", "own"'),
  withData(
    'with no rows to test on',
    { split: { testRows: 0 } },
    'split.testRows in body should be greater than or equal to 1',
  ),
  withData('that takes data from users', { users: {} }),
  withData('that takes little for a short time', { users: { retainSeconds: 60, maxRows: 10, maxRowsPerUser: 10 } }),
  withData(
    'that takes more of one user than of all',
    { users: { maxRows: 10 } },
    'data.users.maxRowsPerUser must not be more than data.users.maxRows',
  ),
  withData(
    'that keeps what users send for no time',
    { users: { retainSeconds: 0 } },
    'users.retainSeconds in body should be greater than or equal to 1',
  ),
  learning(
    'by an unknown strategy',
    { strategy: 'noloco' },
    'supported values: "gossip", "outer", "federated", "grouped"',
  ),
  learning('by gossip in parts with tokens', {
    peers: 'exponential',
    fanout: 3,
    tokens: { capacity: 20, reserve: 10 },
    clip: 'none',
    compression: { partitions: 8 },
  }),
  learning('with an outer step', {
    strategy: 'outer',
    outer: { learningRate: '0.7', momentum: '0.3', consensus: '1' },
    compression: { topK: '0.03' },
  }),
  learning('by averaging', { strategy: 'federated', aggregator: { waitSeconds: 5 }, compression: { rank: 4 } }),
  learning('in groups', { strategy: 'grouped', aggregator: { groups: 4 } }),
  learning(
    'with the greatest by gossip',
    { compression: { topK: '0.03' } },
    'learning.compression.topK goes with strategy: outer or federated or grouped only',
  ),
  learning(
    'with factors by gossip',
    { compression: { rank: 4 } },
    'learning.compression.rank goes with strategy: outer or federated or grouped only',
  ),
  learning(
    'in parts by averaging',
    { strategy: 'federated', compression: { partitions: 4 } },
    'learning.compression.partitions goes with strategy: gossip only',
  ),
  learning(
    'with two compressions',
    { strategy: 'outer', compression: { topK: '0.03', rank: 4 } },
    'takes topK or rank, not both',
  ),
  learning(
    'with nothing of a change',
    { strategy: 'outer', compression: { topK: '0' } },
    'learning.compression.topK must be more than zero',
  ),
  learning(
    'with more than all of a change',
    { strategy: 'outer', compression: { topK: '3' } },
    'learning.compression.topK must be from "0" to "1"',
  ),
  learning(
    'with tokens for an aggregator',
    { strategy: 'federated', tokens: {} },
    'learning.tokens goes with strategy: gossip or outer only',
  ),
  learning(
    'with a reserve above the capacity',
    { tokens: { capacity: 5 } },
    'learning.tokens.reserve must not be above learning.tokens.capacity',
  ),
  learning('with an outer step by gossip', { outer: {} }, 'learning.outer goes with strategy: outer only'),
  learning(
    'with an aggregator by gossip',
    { aggregator: {} },
    'learning.aggregator goes with strategy: federated or grouped only',
  ),
  learning(
    'with groups of one aggregator',
    { strategy: 'federated', aggregator: { groups: 2 } },
    'learning.aggregator.groups goes with strategy: grouped only',
  ),
  learning(
    'without a pause',
    { waitMilliseconds: 0 },
    'waitMilliseconds in body should be greater than or equal to 10',
  ),
  learning(
    'with a float as learning rate',
    { optimizer: { learningRate: 0.3 } },
    'learningRate in body must be of type string',
  ),
  learning(
    'with a negative learning rate',
    { optimizer: { learningRate: '-0.3' } },
    'learningRate must be a decimal number in quotes such as "0.3"',
  ),
  learning('with a learning rate of zero', { optimizer: { learningRate: '0' } }, 'learningRate must be more than zero'),
  learning(
    'with a comma in the learning rate',
    { optimizer: { learningRate: '0,3' } },
    'must be a decimal number in quotes',
  ),
  learning('with an unknown optimizer', { optimizer: { name: 'adagrad' } }, 'supported values: "sgd", "adam"'),
  learning('with a limit that is not used', { mergeLimit: 5 }, 'learning.mergeLimit goes with merge: limited'),
  learning('limited without a limit', { merge: 'limited' }, 'learning.mergeLimit goes with merge: limited'),
  learning(
    'with weights of 4 bits',
    { compression: { bits: 4 } },
    'compression.bits: Unsupported value: 4: supported values: "8", "32"',
  ),
  learning(
    'to an accuracy above one',
    { target: { value: '95' } },
    'learning.target.value is an accuracy and must be from "0" to "1"',
  ),
  learning(
    'to an accuracy just above one',
    { target: { value: '1.01' } },
    'must be from "0" to "1": write "0.95" for 95 %.',
  ),
  learning('to an accuracy of exactly one', { target: { value: '1.0' } }),
  learning('that stops at its target', { target: { value: '0.9' }, stopAtTarget: true }),
  learning('that does not stop, and has no target', { stopAtTarget: false }),
  learning(
    'that stops at no target',
    { stopAtTarget: true },
    'learning.stopAtTarget needs a learning.target to stop at',
  ),
  learning('to no value', { target: { metric: 'loss' } }, 'target.value: Required value'),
  model('with a quorum of a half', { versions: { quorum: '1/2' } }, 'versions.quorum must be more than 1/2'),
  model(
    'with a quorum of more than all',
    { versions: { quorum: '4/3' } },
    'versions.quorum must be more than 1/2 and at most 1/1',
  ),
  model(
    'with a quorum that is no fraction',
    { versions: { quorum: '66%' } },
    'versions.quorum must be a fraction in quotes such as "2/3"',
  ),
  model(
    'with chunks too small',
    { shards: { chunkBytes: 1023 } },
    'chunkBytes in body should be greater than or equal to 1024',
  ),
  model(
    'with chunks too large',
    { shards: { chunkBytes: 1_048_577 } },
    'chunkBytes in body should be less than or equal to 1048576',
  ),
  model('of no shards', { shards: { count: 0 } }, 'shards.count in body should be greater than or equal to 1'),
  named(model('with a name too long', {}, 'metadata.name of a Model must be at most 52 characters'), 'm'.repeat(53)),
  from(model('', {}), withData('whose digest is put right', { sha256: SHA })),
  from(model('', {}), learning('that learns more slowly', { optimizer: { learningRate: '0.1' } })),
  from(
    model('', { architecture: { layers: [{ class_name: 'Dense', config: { units: 10 } }] } }),
    model('whose layers stay the same', {
      architecture: { layers: [{ class_name: 'Dense', config: { units: 10 } }] },
      network: 'default',
    }),
  ),
  from(
    model('', {}),
    model('of another architecture', { architecture: { preset: 'logistic' } }, 'Weights fit one architecture only'),
  ),
  from(
    model('', { architecture: { layers: [{ class_name: 'Dense', config: { units: 10 } }] } }),
    model(
      'with more units',
      { architecture: { layers: [{ class_name: 'Dense', config: { units: 20 } }] } },
      'Weights fit one architecture only',
    ),
  ),
  from(
    model('', {}),
    model(
      'that moves to another network',
      { network: 'other' },
      'network cannot be changed once set. Make a new Model',
    ),
  ),
];

const SHARDS: readonly Case[] = [
  shard('as the operator makes it', {}),
  shard('pinned by hand', {
    versionCid: `bafyrei${'a'.repeat(52)}`,
    replicas: 1,
    placement: { spread: 'topology.kubernetes.io/zone', nodeSelector: { disk: 'ssd' } },
  }),
  shard('of no model', { modelRef: undefined }, 'spec.modelRef: Required value'),
  shard('beyond the last', { index: 2 }, 'index must be less than of: parts are numbered from 0 to of - 1.'),
  shard('before the first', { index: -1 }, 'spec.index in body should be greater than or equal to 0'),
  shard('that nobody holds', { replicas: 0 }, 'spec.replicas in body should be greater than or equal to 1'),
  shard('of a version that is no CID', { versionCid: 'v1' }, 'versionCid must be the whole CID of a version'),
  shard('of half a CID', { versionCid: 'bafyreiaaaaaaaaaaaaa' }, 'versionCid must be the whole CID of a version'),
  shard('spread over nonsense', { placement: { spread: 'a b' } }, 'placement.spread must be the label of a topology'),
  from(shard('', {}), shard('with more replicas', { replicas: 4 })),
  from(
    shard('', {}),
    shard('of another model', { modelRef: { name: 'other' } }, 'modelRef cannot be changed once set'),
  ),
  from(shard('', {}), shard('of another range', { index: 1 }, 'index cannot be changed once set')),
];

const RESERVATIONS: readonly Case[] = [
  reservation('of a compressed key', {}),
  reservation('of a key of 32 bytes', { publicKey: 'ab'.repeat(32) }),
  reservation(
    'of a key in upper case',
    { publicKey: KEY.toUpperCase() },
    'publicKey must be the public stake key in lower-case hex',
  ),
  reservation(
    'of half a key',
    { publicKey: 'ab' },
    'publicKey must be the public stake key in lower-case hex: 64 or 66',
  ),
  reservation('for nobody', { nodeRef: undefined }, 'spec.nodeRef: Required value'),
  reservation('for a node without uid', { nodeRef: { namespace: 'a', name: 'b' } }, 'nodeRef.uid: Required value'),
  named(reservation('with a name of its own', {}, 'must be the sha256 of the public key'), 'mine'),
  from(
    reservation('', {}),
    reservation(
      'of another key',
      { publicKey: OTHER_KEY },
      'publicKey cannot be changed once set. Delete the reservation',
    ),
  ),
  from(
    reservation('', {}),
    reservation(
      'for another node',
      { nodeRef: { namespace: 'default', name: 'flock-1', uid: 'u-2' } },
      'nodeRef cannot be changed once set',
    ),
  ),
];

/** Valid and invalid documents of every kind. */
export const CASES: readonly Case[] = [...NODES, ...FLEETS, ...MODELS, ...SHARDS, ...RESERVATIONS];
