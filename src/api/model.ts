import { z } from 'zod';
import { ready, statusBase } from './conditions.ts';
import { label, object, plainName } from './metadata.ts';
import { architecture } from './model-architecture.ts';
import { data } from './model-data.ts';
import { learning } from './model-learning.ts';
import { DEFAULT_NETWORK, NAME_MAX } from './names.ts';
import { immutable, ruled, type Transition, text, whole } from './rules.ts';

const QUORUM = /^[1-9][0-9]{0,2}\/[1-9][0-9]{0,2}$/;
const fraction = (value: string): readonly [number, number] => {
  const [over = 0, under = 1] = value.split('/').map(Number);
  return [over, under];
};

const quorum = ruled(text(QUORUM, 7, 'versions.quorum must be a fraction in quotes such as "2/3".'), [
  {
    cel: `!self.matches(r'${QUORUM.source}') || (int(self.split('/')[0]) * 2 > int(self.split('/')[1]) && int(self.split('/')[0]) <= int(self.split('/')[1]))`,
    says: 'versions.quorum must be more than 1/2 and at most 1/1, or two versions could be certified at once: use "2/3".',
    holds: (self) => {
      const [over, under] = fraction(self);
      return !QUORUM.test(self) || (over * 2 > under && over <= under);
    },
  },
]);

const versions = z.object({
  everyAge: whole(1, 1_000_000_000)
    .default(500)
    .describe('A version is proposed each time the age has grown by so much.'),
  keep: whole(1, 100).default(3).describe('Certified versions that are kept.'),
  quorum: quorum.default('2/3').describe('Share of the voting weight that certifies a version.'),
  minimumVoters: whole(1, 1000).default(1).describe('No version is certified by fewer validators than this.'),
});

const shards = z.object({
  count: whole(1, 256).default(2).describe('Parts that a version is divided into for placement.'),
  replicas: whole(1, 100).default(3).describe('Validators that hold each part.'),
  chunkBytes: whole(1024, 1_048_576).default(131_072).describe('Size of a chunk.'),
});

/** Rules about changes of a model's spec. */
export const modelTransitions: readonly Transition[] = [
  immutable('network', 'Make a new Model in the other network.'),
  immutable('architecture', 'Weights fit one architecture only: make a new Model for another one.'),
];

/** Spec of a learning task. */
export const ModelSpec = ruled(
  z.object({
    network: label('network').default(DEFAULT_NETWORK).describe('Overlay whose validators learn it.'),
    architecture: architecture.prefault({}).describe('What is learned; a small multi-layer perceptron where absent.'),
    data: data.describe('What it is learned from.'),
    learning: learning.prefault({}).describe('How it is learned.'),
    versions: versions.prefault({}).describe('When a version is certified.'),
    shards: shards.prefault({}).describe('How a version is stored.'),
  }),
  [
    {
      cel: `!has(self.architecture) || !has(self.architecture.preset) || self.architecture.preset != 'pegasos' || self.data.classes == 2`,
      says: 'architecture.preset pegasos tells two classes apart: set data.classes to 2, or take preset: logistic.',
      at: '.architecture',
      holds: (self) => self.architecture.preset !== 'pegasos' || self.data.classes === 2,
    },
  ],
  modelTransitions,
);
export type ModelSpec = z.output<typeof ModelSpec>;

const count = z.int().min(0);
/** A measured number as text, such as "0.957". */
const measured = z.string().max(32);

const modelStatus = z.object({
  ...statusBase,
  ready,
  version: z
    .object({
      cid: z.string().max(128).describe('CID of the manifest.'),
      short: z.string().max(16).describe('The CID in short, for the VERSION column.'),
      age: count.describe('Updates that it has seen.'),
      certifiedAt: z.string().max(64).meta({ format: 'date-time' }),
      certifiedBy: z.string().max(32).optional().describe('Voters of members: "4 of 4".'),
      bytes: count,
      chunks: count,
    })
    .optional()
    .describe('The newest certified version.'),
  updates: count.optional().describe('Greatest age among validators.'),
  accuracy: measured.optional().describe('Least accuracy on the held-out rows among validators.'),
  loss: measured.optional().describe('Mean loss on the held-out rows over validators.'),
  divergence: measured
    .optional()
    .describe("Mean distance of validators' weights from each other, relative to their length."),
  startedAt: z
    .string()
    .max(64)
    .meta({ format: 'date-time' })
    .optional()
    .describe('When its first update was heard of.'),
  target: z
    .object({
      metric: z.string().max(16),
      value: z.string().max(32),
      reached: z.boolean().describe('As condition Converged says it.'),
      reachedAt: z.string().max(64).meta({ format: 'date-time' }).optional().describe('When it was Converged first.'),
      secondsTaken: count.optional().describe('From its first update until it was Converged first.'),
      secondsLeft: count
        .optional()
        .describe('Until it will be Converged, by what it learned lately; absent where that shows no trend.'),
      shortSince: z
        .string()
        .max(64)
        .meta({ format: 'date-time' })
        .optional()
        .describe('Since when a validator of a Converged model is clearly short of the target.'),
      summary: z.string().max(64).optional().describe('"58 s", or "about 3 min left".'),
    })
    .optional()
    .describe('How far it is to learning.target. Times are about the target that is named here.'),
  shards: z
    .object({
      ready: count.describe('Shards that have all their replicas.'),
      total: count,
      summary: z.string().max(32).describe('Ready of total: "2/2".'),
    })
    .optional(),
});

/** A learning task: architecture, data and how to learn. */
export const Model = object('Model', ModelSpec, modelStatus, [plainName('Model', NAME_MAX)]);
export type Model = z.output<typeof Model>;
export type ModelStatus = z.output<typeof modelStatus>;

/** A quorum such as "2/3" as numerator and denominator, for exact arithmetic. */
export const parseQuorum = (value: string): { readonly over: number; readonly under: number } => {
  const [over, under] = fraction(value);
  return { over, under };
};
