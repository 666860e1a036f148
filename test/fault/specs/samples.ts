/** What cannot be told from a field's type: which texts, maps and lists are valid, and which are nonsense. */
export interface Sample {
  /** Valid in a cluster of cluster.ts. */
  readonly valid: readonly unknown[];
  /** Of the right type, and wrong: names of nothing, contradictions. Refused, or told in a condition. */
  readonly nonsense?: readonly unknown[];
  /** Fields below `spec` (dotted) that go with it; undefined removes one. */
  readonly alongside?: Readonly<Record<string, unknown>>;
}

/** What people brought into the namespace before: see cluster.ts. */
export const BROUGHT = {
  stakeKeys: ['stake-a', 'stake-b'],
  identity: 'identity-a',
  shapeless: 'shapeless',
  garbled: 'garbled',
  configMap: 'table',
  claim: 'library',
  fixedClass: 'fixed',
} as const;

const NOTHING = 'no-such-thing';
const SHA = 'e'.repeat(64);
const KEY = '02'.padEnd(66, 'a');
const CID = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
const objectName: Sample = { valid: [NOTHING], nonsense: ['Upper', 'a b', '-', 'a..b'] };
const fractionText: Sample = { valid: ['0.6', '1'], nonsense: ['1.5', '-1', 'half', ''] };
const decimalText: Sample = { valid: ['0.5', '2'], nonsense: ['0', 'much', '1e3', '-1', '007'] };
const stringMap = (valid: object): Sample => ({
  valid: [valid, {}],
  nonsense: [{ 'not a key': 'x' }, { 'a/b/c': 'x' }, { '': 'x' }, { 'murmuration.dev/fleet': 'other' }],
});
const labelMap: Sample = {
  ...stringMap({ team: 'birds' }),
  nonsense: [...(stringMap({}).nonsense ?? []), { a: 'not a value' }, { a: 'x'.repeat(64) }],
};
const source = (own: string): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    ['builtin', 'url', 'configMap', 'claim']
      .filter((one) => one !== own)
      .map((one) => [`data.source.${one}`, undefined]),
  );

const start: Readonly<Record<string, unknown>> = {
  'architecture.preset': undefined,
  'architecture.layers': undefined,
};

/** By kind and path; lists are told by their items' fields too. */
export const SAMPLES: Readonly<Record<string, Sample>> = {
  'ValidatorNode.network': { valid: ['other'], nonsense: ['Flock', 'a.b', '9'] },
  'ValidatorNode.image': {
    valid: ['murmuration:next', 'registry.example/murmuration@sha256:abc'],
    nonsense: [`registry.example/${NOTHING}:1`, 'a b', '-x', 'a:::b'],
  },
  'ValidatorNode.imagePullSecrets': {
    valid: [[{ name: NOTHING }], []],
    nonsense: [[{ name: 'a' }, { name: 'a' }], [{}], [null]],
  },
  'ValidatorNode.imagePullSecrets.0.name': objectName,
  'ValidatorNode.resources.requests': {
    valid: [{ cpu: '20m', memory: '128Mi' }, {}, { cpu: 1 }],
    nonsense: [
      { cpu: '5000', memory: '1Mi' },
      { memory: '1Gi' },
      { 'no such resource': 1 },
      { gold: 1 },
      { 'example.com/gold': 1 },
      { cpu: 'much' },
    ],
  },
  'ValidatorNode.resources.limits': {
    valid: [{ memory: '1Gi' }, {}, { memory: '512Mi', cpu: 2 }],
    nonsense: [
      { memory: '1Mi' },
      { cpu: '1m' },
      { 'a b': 1 },
      { gold: 1 },
      { 'example.com/gold': '1500m' },
      { cpu: -1 },
    ],
  },
  'ValidatorNode.resources.gpu.resourceName': {
    valid: ['example.com/gpu'],
    nonsense: ['nvidia.com', '-./_', 'kubernetes.io/gpu', 'Example.com/gpu', 'requests.example.com/gpu'],
    alongside: { 'resources.gpu.resourceClaims': undefined },
  },
  'ValidatorNode.resources.gpu.resourceClaims': {
    valid: [[{ name: 'gpu', resourceClaimName: NOTHING }]],
    nonsense: [
      [
        { name: 'gpu', resourceClaimName: 'a' },
        { name: 'gpu', resourceClaimName: 'b' },
      ],
      [{ name: 'gpu' }],
      [{ name: 'gpu', resourceClaimName: 'a', resourceClaimTemplateName: 'b' }],
    ],
    alongside: { 'resources.gpu.resourceName': undefined },
  },
  'ValidatorNode.resources.gpu.resourceClaims.0.name': {
    ...objectName,
    alongside: { 'resources.gpu.resourceClaims.0.resourceClaimName': NOTHING, 'resources.gpu.resourceName': undefined },
  },
  'ValidatorNode.resources.gpu.resourceClaims.0.resourceClaimName': {
    ...objectName,
    alongside: { 'resources.gpu.resourceClaims.0.name': 'gpu', 'resources.gpu.resourceName': undefined },
  },
  'ValidatorNode.resources.gpu.resourceClaims.0.resourceClaimTemplateName': {
    ...objectName,
    alongside: { 'resources.gpu.resourceClaims.0.name': 'gpu', 'resources.gpu.resourceName': undefined },
  },
  'ValidatorNode.storage.size': {
    valid: ['2Gi', '1536Mi', '1024Mi', '1.5Gi'],
    nonsense: ['1Mi', '0', 'much', '-1Gi', '9999999Ei', '1n'],
  },
  'ValidatorNode.storage.storageClassName': { valid: [BROUGHT.fixedClass], nonsense: [NOTHING, 'Fast', 'a b'] },
  'ValidatorNode.identity.secretRef.name': {
    valid: [BROUGHT.identity],
    nonsense: [NOTHING, BROUGHT.shapeless, BROUGHT.garbled, 'a b'],
  },
  'ValidatorNode.stake.keySecretRef.name': {
    valid: [...BROUGHT.stakeKeys],
    nonsense: [NOTHING, BROUGHT.shapeless, BROUGHT.garbled, 'a b'],
  },
  'ValidatorNode.data.claimName': {
    valid: [BROUGHT.claim],
    nonsense: [NOTHING, 'a b'],
    alongside: { 'data.configMap': undefined },
  },
  'ValidatorNode.data.configMap': {
    valid: [BROUGHT.configMap],
    nonsense: [NOTHING, 'a b'],
    alongside: { 'data.claimName': undefined },
  },
  'ValidatorNode.data.file': {
    valid: ['rows/train.csv'],
    nonsense: ['../secret', '/etc/passwd', 'a b', '.hidden'],
    alongside: { 'data.configMap': BROUGHT.configMap, 'data.claimName': undefined },
  },
  'ValidatorNode.podTemplate.metadata.labels': labelMap,
  'ValidatorNode.podTemplate.metadata.annotations': stringMap({ note: 'any text at all' }),
  'ValidatorNode.podTemplate.spec': {
    valid: [{ priorityClassName: '' }, { tolerations: [{ key: 'gpu', operator: 'Exists' }] }, {}],
    nonsense: [
      { nodeSelector: { zone: NOTHING } },
      { containers: 'none' },
      { containers: null },
      { containers: [{ name: 'validator', image: null }] },
      { containers: [{ name: 'extra' }] },
      { containers: [{ name: 'validator', env: [{ name: 'A=B' }] }] },
      { volumes: [{ name: 'no such volume' }] },
      { hostname: 5 },
      { restartPolicy: 'Perhaps' },
      { terminationGracePeriodSeconds: -1 },
      { noSuchField: true },
      { priorityClassName: NOTHING },
    ],
  },
  'ValidatorFleet.template.metadata.labels': labelMap,
  'ValidatorFleet.template.metadata.annotations': {
    ...stringMap({ note: 'any text at all' }),
    nonsense: [
      ...(stringMap({}).nonsense ?? []),
      { 'murmuration.dev/cordoned-by-fleet': 'true' },
      { 'murmuration.dev/replace-pod': 'x' },
      { 'murmuration/shape': 'x' },
    ],
  },
  'ValidatorFleet.updateStrategy.maxUnavailable': {
    valid: [2, '50%', '100%'],
    nonsense: [0, -1, 1001, '0%', '101%', 'all'],
  },
  'Model.network': { valid: ['other'], nonsense: ['Flock', 'a.b'] },
  'Model.architecture.preset': {
    valid: ['logistic', 'cnn'],
    nonsense: ['text', 'pegasos'],
    alongside: { 'architecture.layers': undefined, 'architecture.from': undefined },
  },
  'Model.architecture.vocabulary': {
    valid: [5000],
    alongside: { ...start, 'architecture.from': undefined, 'architecture.preset': 'text' },
  },
  'Model.architecture.lambda': {
    ...decimalText,
    alongside: { ...start, 'architecture.from': undefined, 'architecture.preset': 'pegasos', 'data.classes': 2 },
  },
  'Model.architecture.from.url': {
    valid: ['https://data.example/model.json'],
    nonsense: ['ftp://data.example/a', 'https://a b', NOTHING],
    alongside: { ...start, 'architecture.from.claim': undefined, 'architecture.from.sha256': SHA },
  },
  'Model.architecture.from.claim.claimName': {
    valid: [BROUGHT.claim],
    nonsense: [NOTHING, 'a b'],
    alongside: {
      ...start,
      'architecture.from.url': undefined,
      'architecture.from.claim.path': 'model.json',
      'architecture.from.sha256': SHA,
    },
  },
  'Model.architecture.from.claim.path': {
    valid: ['model/model.json'],
    nonsense: ['../up', '/abs'],
    alongside: {
      ...start,
      'architecture.from.url': undefined,
      'architecture.from.claim.claimName': BROUGHT.claim,
      'architecture.from.sha256': SHA,
    },
  },
  'Model.architecture.from.sha256': {
    valid: [SHA],
    nonsense: ['E'.repeat(64), 'abc'],
    alongside: {
      ...start,
      'architecture.from.url': 'https://data.example/model.json',
      'architecture.from.claim': undefined,
    },
  },
  'Model.architecture.layers': {
    valid: [[{ class_name: 'Dense', config: { units: 10, activation: 'softmax' } }]],
    nonsense: [[{}], [{ class_name: 'Dense', config: { units: -5, activation: NOTHING } }]],
    alongside: { 'architecture.preset': undefined },
  },
  'Model.architecture.layers.0.class_name': { valid: ['Flatten'], alongside: { 'architecture.preset': undefined } },
  'Model.architecture.layers.0.config': {
    valid: [{ units: 5 }, {}],
    nonsense: [{ units: { deep: { er: [] } } }, { units: 'many' }, { blob: 'x'.repeat(1_100_000) }],
    alongside: { 'architecture.preset': undefined, 'architecture.layers.0.class_name': 'Dense' },
  },
  'Model.data.source.builtin': { valid: ['spambase'], alongside: source('builtin') },
  'Model.data.source.url': {
    valid: ['https://data.example/a.csv'],
    nonsense: ['ftp://data.example/a', 'https://a b', NOTHING],
    alongside: { ...source('url'), 'data.sha256': SHA },
  },
  'Model.data.source.configMap.name': {
    valid: [BROUGHT.configMap],
    nonsense: [NOTHING, 'a b'],
    alongside: source('configMap'),
  },
  'Model.data.source.configMap.key': {
    valid: ['train.csv'],
    nonsense: ['a/b', '..'],
    alongside: { ...source('configMap'), 'data.source.configMap.name': BROUGHT.configMap },
  },
  'Model.data.source.claim.claimName': {
    valid: [BROUGHT.claim],
    nonsense: [NOTHING, 'a b'],
    alongside: { ...source('claim'), 'data.source.claim.path': 'train.csv' },
  },
  'Model.data.source.claim.path': {
    valid: ['rows/train.csv'],
    nonsense: ['../up', '/abs'],
    alongside: { ...source('claim'), 'data.source.claim.claimName': BROUGHT.claim },
  },
  'Model.data.format': { valid: ['csv'], nonsense: ['idx', 'images'] },
  'Model.data.shape': { valid: [[8, 8, 1], [64]], nonsense: [[], [0], [1, 2, 3, 4, 5], ['8']] },
  'Model.data.labels.file': {
    valid: ['labels.gz'],
    nonsense: ['../up', '/abs', 'a b'],
    alongside: { 'data.format': 'auto' },
  },
  'Model.data.labels.sha256': {
    valid: [SHA],
    nonsense: ['E'.repeat(64), 'abc'],
    alongside: { 'data.format': 'auto', 'data.labels.file': 'labels.gz' },
  },
  'Model.data.sha256': { valid: [SHA], nonsense: ['E'.repeat(64), 'abc'] },
  'Model.data.label': { valid: ['class', 'ümlaut "quoted"'], nonsense: ['\n', '\u0000'] },
  'Model.data.scale': decimalText,
  'Model.data.users.maxRows': { valid: [2000], alongside: { 'data.users.maxRowsPerUser': 1 } },
  'Model.learning.optimizer.learningRate': decimalText,
  'Model.learning.merge': { valid: ['mean'], nonsense: ['limited'], alongside: { 'learning.mergeLimit': undefined } },
  'Model.learning.mergeLimit': { valid: [5], alongside: { 'learning.merge': 'limited' } },
  'Model.learning.strategy': { valid: ['outer', 'federated', 'grouped'] },
  'Model.learning.tokens.capacity': { valid: [30], alongside: { 'learning.tokens.reserve': 5 } },
  'Model.learning.tokens.reserve': { valid: [5], alongside: { 'learning.tokens.capacity': 20 } },
  'Model.learning.compression.partitions': { valid: [4], alongside: { 'learning.strategy': 'gossip' } },
  'Model.learning.compression.topK': {
    valid: ['0.03', '1'],
    nonsense: ['0', '1.5', '3%', ''],
    alongside: { 'learning.strategy': 'outer' },
  },
  'Model.learning.compression.rank': { valid: [2], alongside: { 'learning.strategy': 'outer' } },
  'Model.learning.outer.learningRate': { ...fractionText, alongside: { 'learning.strategy': 'outer' } },
  'Model.learning.outer.momentum': { ...fractionText, alongside: { 'learning.strategy': 'outer' } },
  'Model.learning.outer.consensus': { ...fractionText, alongside: { 'learning.strategy': 'outer' } },
  'Model.learning.aggregator.groups': { valid: [2], alongside: { 'learning.strategy': 'grouped' } },
  'Model.learning.aggregator.waitSeconds': { valid: [5], alongside: { 'learning.strategy': 'federated' } },
  'Model.learning.aggregator.silentSeconds': { valid: [5], alongside: { 'learning.strategy': 'federated' } },
  'Model.learning.stopAtTarget': { valid: [true], alongside: { 'learning.target': { value: '0.5' } } },
  'Model.learning.target.metric': { valid: ['loss'], alongside: { 'learning.target.value': '0.5' } },
  'Model.learning.target.value': { valid: ['0.5', '1'], nonsense: ['1.5', 'all', '', '95%'] },
  'Model.versions.quorum': { valid: ['3/4', '1/1'], nonsense: ['1/2', '4/3', '2', '0/1', 'most', '2/0'] },
  'ModelShard.modelRef.name': objectName,
  'ModelShard.index': { valid: [1] },
  'ModelShard.of': { valid: [8] },
  'ModelShard.placement.spread': {
    valid: ['topology.kubernetes.io/zone'],
    nonsense: ['a b', '-', 'example.com/no-such-label'],
  },
  'ModelShard.placement.nodeSelector': {
    ...labelMap,
    nonsense: [{ zone: NOTHING }, ...(labelMap.nonsense ?? [])],
  },
  'ModelShard.versionCid': { valid: [CID], nonsense: ['baaaaaaaaaaa', 'Qm', 'bafyrei1'] },
  'StakeKeyReservation.publicKey': { valid: [KEY], nonsense: ['abc', 'A'.repeat(64)] },
  'StakeKeyReservation.nodeRef.namespace': objectName,
  'StakeKeyReservation.nodeRef.name': objectName,
  'StakeKeyReservation.nodeRef.uid': { valid: ['some-uid'], nonsense: [' ', '\n'] },
};
