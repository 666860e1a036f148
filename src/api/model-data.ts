import { z } from 'zod';
import { fileDigest, filePath, fileUrl, objectName } from './metadata.ts';
import { users } from './model-users.ts';
import { decimal } from './quantity.ts';
import { exactlyOne, ruled, text, whole } from './rules.ts';

/** Data sets that are part of the release. */
export const BUILTIN_DATA = ['digits', 'spambase'] as const;
export type BuiltinData = (typeof BUILTIN_DATA)[number];

const source = ruled(
  z.object({
    builtin: z.enum(BUILTIN_DATA).optional().describe('A data set that is part of the release.'),
    url: fileUrl('data.source.url').optional().describe('A file, also gzipped; needs data.sha256.'),
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
        path: filePath('data.source.claim.path', 'train.csv').describe(
          'Path of the file within the volume, or of a folder with a folder of PNG images for each class.',
        ),
      })
      .optional()
      .describe('A file or folder in a PersistentVolumeClaim that many pods can read.'),
  }),
  [
    exactlyOne(
      ['builtin', 'url', 'configMap', 'claim'],
      'data.source must set exactly one of builtin, url, configMap and claim.',
    ),
  ],
);

/** How a data file is read. */
export const DATA_FORMATS = ['auto', 'csv', 'npz', 'idx', 'images'] as const;

/** Labelled records, and how they are dealt out to validators. */
export const data = ruled(
  z.object({
    source: source.describe('Where the data come from.'),
    sha256: fileDigest('data.sha256')
      .optional()
      .describe('Digest of the file as it is stored; a file with another digest is not used.'),
    format: z
      .enum(DATA_FORMATS)
      .default('auto')
      .describe(
        'csv: numbers with a label column. npz: NumPy arrays x and y. idx: the format of MNIST; needs data.labels. ' +
          'images: a zip, tar or folder with a folder of PNG images for each class. auto: what the first bytes say.',
      ),
    shape: z
      .array(whole(1, 65_536))
      .min(1)
      .max(4)
      .optional()
      .describe(
        "How a record's numbers are arranged: [28, 28, 1] is height, width, channels. Default: as in the file.",
      ),
    labels: z
      .object({
        file: filePath('data.labels.file', 'train-labels-idx1-ubyte.gz').describe(
          'Name of the file with the labels, beside the records: in the same folder, ConfigMap or URL.',
        ),
        sha256: fileDigest('data.labels.sha256').optional().describe('Digest of the file with the labels.'),
      })
      .optional()
      .describe('For format idx, which has labels in a file of their own.'),
    label: z
      .string()
      .min(1)
      .max(253)
      .default('last')
      .describe('Name of the label column, or "last" for the last column. Of npz: name of the array of labels.'),
    classes: whole(2, 65_536).describe('Number of classes; labels are 0 to classes - 1.'),
    scale: ruled(decimal('data.scale', '16'), [
      {
        cel: `!self.matches(r'^0([.]0*)?$')`,
        says: 'data.scale must be more than zero, since features are divided by it.',
        holds: (self) => Number(self) !== 0,
      },
    ])
      .optional()
      .describe('Features are divided by this. Default: 255 for bytes; else each column gets mean 0 and deviation 1.'),
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
    {
      cel: '!has(self.source.url) || !has(self.labels) || has(self.labels.sha256)',
      says: 'data.labels.sha256 is required with data.source.url: run sha256sum on the file with the labels and set it.',
      at: '.labels',
      holds: (self) => self.source.url === undefined || self.labels === undefined || self.labels.sha256 !== undefined,
    },
    {
      cel: `!has(self.labels) || !has(self.format) || self.format in ['auto', 'idx']`,
      says: 'data.labels goes with data.format idx: other formats hold their labels themselves: remove data.labels, or set data.format to idx.',
      at: '.labels',
      holds: (self) => self.labels === undefined || self.format === 'auto' || self.format === 'idx',
    },
    {
      cel: `!has(self.format) || self.format != 'idx' || has(self.labels)`,
      says: 'data.format idx needs labels: set data.labels.file to the name of the file that has them, beside the records.',
      at: '.format',
      holds: (self) => self.format !== 'idx' || self.labels !== undefined,
    },
    {
      cel: `!has(self.source.builtin) || !has(self.format) || self.format in ['auto', 'csv']`,
      says: 'data.format must be auto or csv with data.source.builtin: remove it.',
      at: '.format',
      holds: (self) => self.source.builtin === undefined || self.format === 'auto' || self.format === 'csv',
    },
  ],
);
export type ModelData = z.output<typeof data>;
export type DataSource = ModelData['source'];
