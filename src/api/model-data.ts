import { z } from 'zod';
import { filePath, objectName } from './metadata.ts';
import { users } from './model-users.ts';
import { decimal } from './quantity.ts';
import { exactlyOne, ruled, text, whole } from './rules.ts';

/** Data sets that are part of the release. */
export const BUILTIN_DATA = ['digits', 'spambase'] as const;
export type BuiltinData = (typeof BUILTIN_DATA)[number];

const source = ruled(
  z.object({
    builtin: z.enum(BUILTIN_DATA).optional().describe('A data set that is part of the release.'),
    url: text(/^https?:\/\/[^\s]+$/, 2048, 'data.source.url must begin with http:// or https:// and hold no spaces.')
      .optional()
      .describe('A CSV file, also gzipped; needs data.sha256.'),
    configMap: z
      .object({
        name: objectName('data.source.configMap.name'),
        key: text(/^[-._A-Za-z0-9]+$/, 253, 'data.source.configMap.key must be a key of the ConfigMap.')
          .default('data.csv')
          .describe('Key of the ConfigMap that holds the file.'),
      })
      .optional()
      .describe('A key of a ConfigMap.'),
    claim: z
      .object({
        claimName: objectName('data.source.claim.claimName').describe('The PersistentVolumeClaim.'),
        path: filePath('data.source.claim.path', 'train.csv').describe('Path of the file within the volume.'),
      })
      .optional()
      .describe('A file in a PersistentVolumeClaim that many pods can read.'),
  }),
  [
    exactlyOne(
      ['builtin', 'url', 'configMap', 'claim'],
      'data.source must set exactly one of builtin, url, configMap and claim.',
    ),
  ],
);

/** A table of numbers with a label column, and how it is dealt out to validators. */
export const data = ruled(
  z.object({
    source: source.describe('Where the table comes from.'),
    sha256: text(/^[0-9a-f]{64}$/, 64, 'data.sha256 must be 64 lower-case hex digits, as sha256sum prints them.')
      .optional()
      .describe('Digest of the file as it is stored; a file with another digest is not used.'),
    label: z
      .string()
      .min(1)
      .max(253)
      .default('last')
      .describe('Name of the label column, or "last" for the last column.'),
    classes: whole(2, 65_536).describe('Number of classes; labels are 0 to classes - 1.'),
    scale: ruled(decimal('data.scale', '16'), [
      {
        cel: `!self.matches(r'^0([.]0*)?$')`,
        says: 'data.scale must be more than zero, since features are divided by it.',
        holds: (self) => Number(self) !== 0,
      },
    ])
      .optional()
      .describe('Features are divided by this.'),
    split: z
      .object({
        seed: whole(0, 2_147_483_647).default(42).describe('Seed of the shuffle before rows are held out.'),
        testRows: whole(1, 1_000_000)
          .default(360)
          .describe('Rows held out to measure accuracy; nobody trains on them.'),
      })
      .prefault({})
      .describe('How rows are held out.'),
    partition: z
      .enum(['iid', 'byLabel', 'own'])
      .default('iid')
      .describe(
        'Who trains on which rows. iid: equal random parts. byLabel: sorted by label, then cut. ' +
          "own: each validator's own data, and this source for testing only.",
      ),
    users: users
      .optional()
      .describe('Lets users of the network send data and models (murmur user join); nobody may where it is absent.'),
  }),
  [
    {
      cel: '!has(self.source.url) || has(self.sha256)',
      says: 'data.sha256 is required with data.source.url: run sha256sum on the file and set it.',
      at: '.sha256',
      holds: (self) => self.source.url === undefined || self.sha256 !== undefined,
    },
  ],
);
export type ModelData = z.output<typeof data>;
export type DataSource = ModelData['source'];
