import { z } from 'zod';
import { atMostOne, ruled } from './rules.ts';

/** Ready-made architectures. */
export const PRESETS = ['mlp', 'logistic'] as const;

/** Layers that every backend can train, named as in Keras. */
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
  class_name: z.enum(LAYERS).describe("Keras' name of the layer."),
  config: z
    .looseObject({})
    .optional()
    .describe('Arguments of the layer as Keras writes them: {units: 32, activation: relu}.'),
});

/**
 * What is learned: a preset, or layers from first to last as Keras writes them to JSON, so that they can be pasted.
 * The input is one record's features; the last layer gives one number a class.
 */
export const architecture = ruled(
  z.object({
    preset: z
      .enum(PRESETS)
      .optional()
      .describe('mlp: one hidden layer of 32 units with relu, then softmax. logistic: softmax alone. Default: mlp.'),
    layers: z.array(layer).min(1).max(128).optional().describe('Layers as Keras-style JSON, from first to last.'),
  }),
  [atMostOne(['preset', 'layers'], 'architecture takes preset or layers, not both: remove one.')],
);
export type Architecture = z.output<typeof architecture>;
