/** Hidden units of two layers, so that weights of 64 inputs and 10 classes take so many MiB of float32. */
function unitsFor(mib: number): number {
  const weights = (mib * 1024 * 1024) / 4;
  return Math.round((-76 + Math.sqrt(76 ** 2 + 4 * weights)) / 2);
}

export const MODEL = 'large';
export const FLEET = 'flock';
export const REPLICAS = 3;

/** So long that nobody learns on while chunks are counted. */
export const CALM_MILLISECONDS = 3_600_000;
/** Wait between two exchanges while a version is to be certified. */
export const BUSY_MILLISECONDS = 20_000;

/**
 * A fleet and a model whose versions have so many MiB. Few rows are looked at, since the model is large for the machine,
 * not for its task; a version is certified after the first exchange, and the next when somebody learns again.
 */
export const manifest = (mib: number, validators: number): readonly object[] => [
  {
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: MODEL },
    spec: {
      architecture: {
        layers: [
          { class_name: 'Dense', config: { units: unitsFor(mib), activation: 'relu' } },
          { class_name: 'Dense', config: { units: unitsFor(mib), activation: 'relu' } },
          { class_name: 'Dense', config: { units: 10, activation: 'softmax' } },
        ],
      },
      data: { source: { builtin: 'digits' }, classes: 10, scale: '16', split: { testRows: 8 } },
      learning: {
        waitMilliseconds: BUSY_MILLISECONDS,
        localSteps: 1,
        batchSize: 1,
        checkpointSeconds: 3600,
        optimizer: { learningRate: '0.01' },
      },
      versions: { everyAge: 1, keep: 1 },
      shards: { count: 8, replicas: REPLICAS, chunkBytes: 128 * 1024 },
    },
  },
  {
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ValidatorFleet',
    metadata: { name: FLEET },
    spec: {
      replicas: validators,
      template: {
        spec: {
          resources: { requests: { cpu: '50m', memory: '512Mi' }, limits: { memory: '3Gi' } },
          storage: { size: '1Gi' },
        },
      },
    },
  },
];
