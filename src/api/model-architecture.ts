import { z } from 'zod';
import { fileDigest, filePath, fileUrl, objectName } from './metadata.ts';
import { decimal } from './quantity.ts';
import { atMostOne, exactlyOne, ruled, whole } from './rules.ts';

/** Ready-made architectures. */
export const PRESETS = ['mlp', 'logistic', 'cnn', 'text', 'pegasos'] as const;

/** Layers that every backend can train, named as in Keras. */
export const LAYERS = [
  'InputLayer',
  'Dense',
  'Activation',
  'Dropout',
  'Flatten',
  'Reshape',
  'Rescaling',
  'Embedding',
  'Conv1D',
  'Conv2D',
  'MaxPooling1D',
  'MaxPooling2D',
  'AveragePooling1D',
  'AveragePooling2D',
  'GlobalAveragePooling1D',
  'GlobalAveragePooling2D',
  'GlobalMaxPooling1D',
  'GlobalMaxPooling2D',
  'ZeroPadding2D',
  'BatchNormalization',
  'LayerNormalization',
] as const;

const layer = z.object({
  class_name: z.enum(LAYERS).describe("Keras' name of the layer."),
  config: z
    .looseObject({})
    .optional()
    .describe('Arguments of the layer as Keras writes them: {units: 32, activation: relu}.'),
});

/** Layers from first to last. */
export const Layers = z.array(layer).min(1).max(128);

const from = ruled(
  z.object({
    url: fileUrl('architecture.from.url').optional().describe('The model.json; files with weights lie beside it.'),
    claim: z
      .object({
        claimName: objectName('architecture.from.claim.claimName').describe('The PersistentVolumeClaim.'),
        path: filePath('architecture.from.claim.path', 'model/model.json').describe(
          'Path of the model.json within the volume; files with weights lie beside it.',
        ),
      })
      .optional()
      .describe('A model.json in a PersistentVolumeClaim that many pods can read.'),
    sha256: fileDigest('architecture.from.sha256').describe(
      'Digest of model.json followed by the files with weights in the order of its weightsManifest: cat model.json *.bin | sha256sum.',
    ),
  }),
  [exactlyOne(['url', 'claim'], 'architecture.from must set exactly one of url and claim.')],
);

/**
 * What is learned: a preset, layers from first to last as Keras writes them to JSON, so that they can be pasted, or a
 * model of TensorFlow.js to go on from. The input is one record's features; the last layer gives one number a class.
 */
export const architecture = ruled(
  z.object({
    preset: z
      .enum(PRESETS)
      .optional()
      .describe(
        'mlp: one hidden layer of 32 units with relu, then softmax. logistic: softmax alone. cnn: two convolutions, for ' +
          'images. text: an embedding of token ids, averaged. pegasos: a linear support vector machine. Default: mlp.',
      ),
    layers: Layers.optional().describe('Layers as Keras-style JSON, from first to last.'),
    from: from.optional().describe('A layers model of TensorFlow.js whose layers and weights are the start.'),
    vocabulary: whole(2, 10_000_000)
      .optional()
      .describe('For preset text: number of tokens; features are token ids from 0 to vocabulary - 1.'),
    lambda: ruled(decimal('architecture.lambda', '0.0001'), [
      {
        cel: `!self.matches(r'^0([.]0*)?$')`,
        says: 'architecture.lambda must be more than zero such as "0.0001".',
        holds: (self) => Number(self) !== 0,
      },
    ])
      .optional()
      .describe('For preset pegasos: strength of the regularisation. Default: "0.0001".'),
  }),
  [
    atMostOne(['preset', 'layers', 'from'], 'architecture takes one of preset, layers and from: remove the others.'),
    {
      cel: `has(self.vocabulary) == (has(self.preset) && self.preset == 'text')`,
      says: 'architecture.vocabulary goes with preset: text, and only with it: set it to the number of tokens.',
      at: '.vocabulary',
      holds: (self) => (self.vocabulary !== undefined) === (self.preset === 'text'),
    },
    {
      cel: `!has(self.lambda) || (has(self.preset) && self.preset == 'pegasos')`,
      says: 'architecture.lambda goes with preset: pegasos, and only with it: remove it.',
      at: '.lambda',
      holds: (self) => self.lambda === undefined || self.preset === 'pegasos',
    },
  ],
);
export type Architecture = z.output<typeof architecture>;
export type ArchitectureSource = z.output<typeof from>;
