import { z } from 'zod';
import { atMostOne, ruled, whole } from './rules.ts';

/** Ready-made architectures. */
export const PRESETS = ['mlp', 'logistic'] as const;

/** Layers that every backend can train. Names and config as in Keras. */
export const LAYERS = [
  'Dense',
  'Activation',
  'Dropout',
  'Flatten',
  'Reshape',
  'Conv2D',
  'MaxPooling2D',
  'AveragePooling2D',
  'BatchNormalization',
] as const;

const layer = z.object({
  className: z.enum(LAYERS).describe("Keras' name of the layer."),
  config: z.looseObject({}).optional().describe('Arguments of the layer as in Keras: {units: 32, activation: relu}.'),
});

/**
 * What is learned: a preset, or layers from first to last. Nothing is added to layers: the input is one record's
 * features, and the last layer must give one number a class.
 */
export const architecture = ruled(
  z.object({
    preset: z.enum(PRESETS).optional().describe('mlp: hidden layers with relu, then softmax. logistic: softmax alone.'),
    hidden: z
      .array(whole(1, 65_536))
      .min(1)
      .max(16)
      .optional()
      .describe('Units of the hidden layers of preset mlp; [32] where absent.'),
    layers: z.array(layer).min(1).max(128).optional().describe('Layers as Keras-style JSON.'),
    inputShape: z
      .array(whole(1, 65_536))
      .min(1)
      .max(4)
      .optional()
      .describe('Shape of one record for the first layer; [number of features] where absent.'),
  }),
  [
    atMostOne(['preset', 'layers'], 'architecture takes preset or layers, not both: remove one.'),
    {
      cel: `!has(self.hidden) || (has(self.preset) ? self.preset == 'mlp' : !has(self.layers))`,
      says: 'architecture.hidden belongs to preset mlp: set preset: mlp or remove hidden.',
      at: '.hidden',
      holds: (self) =>
        self.hidden === undefined || (self.preset === undefined ? self.layers === undefined : self.preset === 'mlp'),
    },
  ],
);
export type Architecture = z.output<typeof architecture>;
