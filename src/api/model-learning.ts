import { z } from 'zod';
import { decimal } from './quantity.ts';
import { ruled, whole } from './rules.ts';

const optimizer = z.object({
  name: z.enum(['sgd', 'adam']).default('sgd'),
  learningRate: ruled(decimal('learning.optimizer.learningRate', '0.3'), [
    {
      cel: `!self.matches(r'^0([.]0*)?$')`,
      says: 'learning.optimizer.learningRate must be more than zero such as "0.3".',
      holds: (self) => Number(self) !== 0,
    },
  ])
    .default('0.3')
    .describe('Size of a step, as decimal text.'),
});

const target = ruled(
  z.object({
    metric: z.enum(['accuracy', 'loss']).default('accuracy').describe('accuracy: at least value. loss: at most value.'),
    value: decimal('learning.target.value', '0.95').describe('What to reach, as decimal text.'),
  }),
  [
    {
      cel: `self.metric != 'accuracy' || self.value.matches(r'^(0([.][0-9]*)?|1([.]0*)?)$') || !self.value.matches(r'^[0-9.]+$')`,
      says: 'learning.target.value is an accuracy and must be from "0" to "1": write "0.95" for 95 %.',
      at: '.value',
      holds: (self) => self.metric !== 'accuracy' || !(Number(self.value) > 1),
    },
  ],
);

/** Gossip learning, Algorithm 1 (Hegedus, Danner, Jelasity 2021), and its options. */
export const learning = ruled(
  z.object({
    strategy: z
      .enum(['gossip'])
      .default('gossip')
      .describe('gossip: every validator learns and exchanges, none leads.'),
    waitMilliseconds: whole(10, 3_600_000).default(200).describe('Wait between two exchanges of one validator.'),
    localSteps: whole(1, 10_000).default(10).describe('Training steps between two exchanges.'),
    batchSize: whole(1, 65_536).default(32).describe('Rows of one training step.'),
    checkpointSeconds: whole(1, 3600).default(10).describe('A crash costs at most so much of one validator.'),
    optimizer: optimizer.prefault({}).describe('How one step changes weights.'),
    merge: z
      .enum(['ageWeighted', 'mean', 'limited'])
      .default('ageWeighted')
      .describe(
        "How a received model is merged. ageWeighted: by the models' ages. mean: half and half. " +
          'limited: as ageWeighted, but keep the older whole where ages differ by more than mergeLimit.',
      ),
    mergeLimit: whole(1, 1_000_000_000).optional().describe('For merge: limited, in updates.'),
    compression: z
      .object({
        bits: z
          .literal([8, 32])
          .default(8)
          .describe('Bits of a weight on the wire: 8 (scaled integers) or 32 (floats).'),
      })
      .prefault({})
      .describe('How models are compressed on the wire.'),
    target: target.optional().describe('When the model counts as Converged.'),
  }),
  [
    {
      cel: `(has(self.merge) && self.merge == 'limited') == has(self.mergeLimit)`,
      says: 'learning.mergeLimit goes with merge: limited, and only with it: set both or neither.',
      at: '.mergeLimit',
      holds: (self) => (self.merge === 'limited') === (self.mergeLimit !== undefined),
    },
  ],
);
export type Learning = z.output<typeof learning>;
