import { z } from 'zod';
import { API_VERSION } from './names.ts';
import { type Rule, ruled, text } from './rules.ts';

const LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A name that can be a DNS label (RFC 1035): networks. */
export const label = (field: string) =>
  text(LABEL, 63, `${field} must be lower-case letters, digits and "-", beginning with a letter, such as "default".`);

/** A name of another object (RFC 1123 subdomain). */
export const objectName = (field: string) =>
  text(SUBDOMAIN, 253, `${field} must be the name of an object: lower-case letters, digits, "-" and ".".`);

/** A path below a folder: no step begins with a dot, so none climbs out. */
export const FILE_PATH = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** A path below a volume's root. */
export const filePath = (field: string, example: string) =>
  text(FILE_PATH, 1024, `${field} must be the path of a file within the volume, such as "${example}".`);

/** Where a file is fetched from. */
export const fileUrl = (field: string) =>
  text(/^https?:\/\/[^\s]+$/, 2048, `${field} must begin with http:// or https:// and hold no spaces.`);

/** sha2-256 of a file. */
export const fileDigest = (field: string) =>
  text(/^[0-9a-f]{64}$/, 64, `${field} must be 64 lower-case hex digits, as sha256sum prints them.`);

/** A reference to an object of a known kind in the same namespace. */
export const localRef = (field: string, what: string) =>
  z.object({ name: objectName(`${field}.name`).describe(`Name of the ${what}, in the same namespace.`) });

/** Names that begin so are the operator's own words. */
const RESERVED = 'murmuration.dev/';
const notReserved: Rule<Readonly<Record<string, string>>> = {
  cel: `self.all(name, !name.startsWith('${RESERVED}'))`,
  says: `names must not begin with ${RESERVED}, which the operator alone sets: choose another name.`,
  holds: (self) => Object.keys(self).every((name) => !name.startsWith(RESERVED)),
};

const labelValue = text(
  /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
  63,
  'a label must be at most 63 letters, digits, "-", "_" and ".", beginning and ending with a letter or digit.',
);

/** Labels to select by. What their names may be is told by the object that gets them: CEL cannot afford to look. */
export const selector = z.record(z.string(), labelValue).meta({ maxProperties: 64 });
/** Labels that an object gets. */
export const labels = ruled(selector, [notReserved]);
export const annotations = ruled(z.record(z.string(), z.string().max(16_384)).meta({ maxProperties: 64 }), [
  notReserved,
]);

/** An owner as the garbage collector reads it. */
export const OwnerReference = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
});
export type OwnerReference = z.output<typeof OwnerReference>;

/** The part of Kubernetes' object metadata that we read. Times are RFC 3339 text, as they travel. */
export const ObjectMeta = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.int().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  deletionGracePeriodSeconds: z.int().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(OwnerReference).optional(),
});
export type ObjectMeta = z.output<typeof ObjectMeta>;

/** A whole object of one of our kinds: what the API server stores. */
export function object<K extends string, S extends z.ZodType, T extends z.ZodType>(
  kind: K,
  spec: S,
  status: T,
  rules: readonly Rule<{ readonly metadata: ObjectMeta }>[],
) {
  const whole = z.object({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata: ObjectMeta,
    spec,
    status: status.optional(),
  });
  return ruled(whole, rules as readonly Rule<z.output<typeof whole>>[]);
}

/** Names become pod names, host names and label values, so they are shorter and plainer than Kubernetes asks. */
export const plainName = (kind: string, max: number): Rule<{ readonly metadata: ObjectMeta }> => ({
  cel: `self.metadata.name.size() <= ${max} && self.metadata.name.matches(r'${LABEL.source}')`,
  says:
    `metadata.name of a ${kind} must be at most ${max} characters: lower-case letters, digits and "-", ` +
    'beginning with a letter.',
  holds: ({ metadata }) => metadata.name.length <= max && LABEL.test(metadata.name),
});
