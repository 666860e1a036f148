import { z } from 'zod';
import { decimal } from './quantity.ts';
import { atMostOne, type Rule, ruled, whole } from './rules.ts';

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

export type Target = z.output<typeof target>;

/** Ways to learn together. */
export const STRATEGY_NAMES = ['gossip', 'outer', 'federated', 'grouped'] as const;
type StrategyName = (typeof STRATEGY_NAMES)[number];

/** A field that only some strategies read: where it is set beside another one, somebody expects what will not be. */
const onlyWith = (field: string, strategies: readonly StrategyName[], instead: string): Rule<Set> => {
  const [set, of] = field.includes('.') ? [field.split('.')[0] ?? '', field] : ['', field];
  const has = set === '' ? `has(self.${of})` : `has(self.${set}) && has(self.${of})`;
  const choice = strategies.map((name) => `self.strategy == '${name}'`).join(' || ');
  const isGossip = strategies.includes('gossip') ? '!has(self.strategy) || ' : 'has(self.strategy) && ';
  return {
    cel: `!(${has}) || ${isGossip}(${choice})`,
    says: `learning.${field} goes with strategy: ${strategies.join(' or ')} only: ${instead}`,
    at: `.${set === '' ? of : set}`,
    holds: (self) => strategies.includes(self.strategy) || at(self, field) === undefined,
  };
};
type Set = Readonly<Record<string, unknown>> & { readonly strategy: StrategyName };
const at = (self: Set, path: string): unknown =>
  path.split('.').reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], self);

const fraction = (field: string, example: string) =>
  ruled(decimal(field, example), [
    {
      cel: `self.matches(r'^(0([.][0-9]*)?|1([.]0*)?)$') || !self.matches(r'^[0-9.]+$')`,
      says: `${field} must be from "0" to "1" such as "${example}".`,
      holds: (self) => !(Number(self) > 1),
    },
  ]);

const compression = ruled(
  z.object({
    bits: z.literal([8, 32]).default(8).describe('Bits of a weight on the wire: 8 (scaled integers) or 32 (floats).'),
    partitions: whole(2, 1024)
      .optional()
      .describe('For strategy: gossip. So many parts of the weights, each with an age; one travels at a time.'),
    topK: ruled(fraction('learning.compression.topK', '0.03'), [
      {
        cel: `!self.matches(r'^0([.]0*)?$')`,
        says: 'learning.compression.topK must be more than zero such as "0.03".',
        holds: (self) => Number(self) !== 0,
      },
    ])
      .optional()
      .describe('Share of a change that travels, the greatest values with 2 bits each; the rest follows later.'),
    rank: whole(1, 64).optional().describe('Changes of large matrices travel as two factors of so many columns.'),
  }),
  [atMostOne(['topK', 'rank'], 'learning.compression takes topK or rank, not both: remove one.')],
);

const tokens = ruled(
  z.object({
    capacity: whole(1, 1000).default(20).describe('Most tokens of an account: messages that can be sent in a burst.'),
    reserve: whole(1, 1000)
      .default(10)
      .describe('Below so many tokens nothing is sent without having heard something.'),
  }),
  [
    {
      cel: `(has(self.reserve) ? self.reserve : 10) <= (has(self.capacity) ? self.capacity : 20)`,
      says: 'learning.tokens.reserve must not be above learning.tokens.capacity: nothing would ever be sent.',
      at: '.reserve',
      holds: (self) => self.reserve <= self.capacity,
    },
  ],
);

const outer = z.object({
  learningRate: fraction('learning.outer.learningRate', '0.7')
    .default('0.7')
    .describe('Part of the mean change that is taken, as decimal text.'),
  momentum: fraction('learning.outer.momentum', '0.3')
    .default('0.3')
    .describe('Part of the step before that goes on, as decimal text.'),
  consensus: fraction('learning.outer.consensus', '1')
    .default('1')
    .describe('How fast validators come together, as decimal text; more than momentum.'),
});

const aggregator = z.object({
  groups: whole(1, 1000)
    .optional()
    .describe('For strategy: grouped. Groups with an aggregator each; default: the root of the number of validators.'),
  waitSeconds: whole(1, 3600).default(10).describe('How long an aggregator waits for members that do not answer.'),
  silentSeconds: whole(1, 3600).default(30).describe('An aggregator that is silent for so long is replaced.'),
});

/** Gossip learning, Algorithm 1 (Hegedus, Danner, Jelasity 2021), its relatives, and their options. */
export const learning = ruled(
  z.object({
    strategy: z
      .enum(STRATEGY_NAMES)
      .default('gossip')
      .describe(
        'gossip: every validator learns and exchanges, none leads. outer: gossip with momentum, for many localSteps. ' +
          'federated: one elected validator averages. grouped: groups with an aggregator each, which gossip.',
      ),
    waitMilliseconds: whole(10, 3_600_000).default(200).describe('Wait between two exchanges of one validator.'),
    localSteps: whole(1, 10_000).default(10).describe('Training steps between two exchanges.'),
    batchSize: whole(1, 65_536).default(32).describe('Rows of one training step.'),
    checkpointSeconds: whole(1, 3600).default(10).describe('A crash costs at most so much of one validator.'),
    optimizer: optimizer.prefault({}).describe('How one step changes weights.'),
    merge: z
      .enum(['ageWeighted', 'mean', 'limited'])
      .default('ageWeighted')
      .describe(
        "For strategy: gossip. How a received model is merged. ageWeighted: by the models' ages. mean: half and half. " +
          'limited: as ageWeighted, but keep the older whole where ages differ by more than mergeLimit.',
      ),
    mergeLimit: whole(1, 1_000_000_000).optional().describe('For merge: limited, in updates.'),
    peers: z
      .enum(['random', 'exponential', 'permutation'])
      .default('random')
      .describe(
        'For strategy: gossip or outer. Whom to send to. random: anybody. exponential: who is 1, 2, 4, 8 .. places on, in turn. ' +
          'permutation: everybody hears from one other in each wait.',
      ),
    fanout: whole(1, 16).default(1).describe('For strategy: gossip or outer. Validators that hear of each exchange.'),
    tokens: tokens
      .optional()
      .describe('For strategy: gossip or outer. Sends by a token account: more after news, less after nothing.'),
    clip: z
      .enum(['auto', 'ball', 'none'])
      .default('auto')
      .describe(
        'ball: models that are far from the own one are drawn nearer before they are merged, against attackers. none: they are ' +
          'not. auto: ball where data.partition is iid; elsewhere honest models are far from each other too.',
      ),
    compression: compression.prefault({}).describe('How models are compressed on the wire.'),
    outer: outer.optional().describe('For strategy: outer. How validators step together.'),
    aggregator: aggregator.optional().describe('For strategy: federated or grouped. How aggregators work.'),
    target: target.optional().describe('When the model counts as Converged.'),
    stopAtTarget: z
      .boolean()
      .optional()
      .describe(
        'true: validators train no further while every one of them has reached the target, and go on when one has fallen ' +
          'clearly below it for half a minute. They serve, vote and keep chunks meanwhile. Default: false.',
      ),
  }),
  [
    {
      cel: `(has(self.merge) && self.merge == 'limited') == has(self.mergeLimit)`,
      says: 'learning.mergeLimit goes with merge: limited, and only with it: set both or neither.',
      at: '.mergeLimit',
      holds: (self) => (self.merge === 'limited') === (self.mergeLimit !== undefined),
    },
    onlyWith('compression.partitions', ['gossip'], 'remove it, or set compression.topK: the others send changes.'),
    onlyWith(
      'compression.topK',
      ['outer', 'federated', 'grouped'],
      'remove it, or set compression.partitions: gossip sends weights.',
    ),
    onlyWith(
      'compression.rank',
      ['outer', 'federated', 'grouped'],
      'remove it, or set compression.partitions: gossip sends weights.',
    ),
    onlyWith('tokens', ['gossip', 'outer'], 'remove it, or choose one of these.'),
    onlyWith('outer', ['outer'], 'remove it, or set strategy: outer.'),
    onlyWith('aggregator', ['federated', 'grouped'], 'remove it, or choose one of these.'),
    {
      cel: `!has(self.aggregator) || !has(self.aggregator.groups) || (has(self.strategy) && self.strategy == 'grouped')`,
      says: 'learning.aggregator.groups goes with strategy: grouped only: remove it, or set strategy: grouped.',
      at: '.aggregator',
      holds: (self) => self.strategy === 'grouped' || self.aggregator?.groups === undefined,
    },
    {
      cel: '!has(self.stopAtTarget) || !self.stopAtTarget || has(self.target)',
      says: 'learning.stopAtTarget needs a learning.target to stop at: set one, or remove stopAtTarget.',
      at: '.stopAtTarget',
      holds: (self) => self.stopAtTarget !== true || self.target !== undefined,
    },
  ],
);
export type Learning = z.output<typeof learning>;
