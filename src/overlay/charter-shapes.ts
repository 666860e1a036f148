import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { ModelSpec } from '../api/index.ts';
import { type CharterModel, maxModelLabels, type UnreadableModel } from './charter.ts';
import { addressText, cidText, count, nameText, networkText, peerIdText, uidText } from './shapes.ts';

/** Shapes of a charter's blocks. The 1 MiB of the whole is the limit that counts; these keep single entries sane. */

const cidLink = z.custom<CID>((value) => CID.asCID(value) !== null, 'is no CID link');

export const rootShape = z.object({
  v: z.literal(1),
  network: networkText,
  seq: count,
  issuedAt: count,
  members: cidLink,
  models: cidLink,
  placements: cidLink,
});

const member = z
  .object({
    peerId: peerIdText,
    name: nameText,
    stakeKey: z.string().regex(/^(0[23][0-9a-f]{64})?$/, 'is no compressed secp256k1 public key in hex'),
    weight: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
    role: z.enum(['validator', 'observer', 'user']),
    notAfter: count,
    addresses: z.array(addressText).max(8),
  })
  .refine((m) => m.weight === 0 || m.stakeKey !== '', 'weighs something and has no stake key');

export const membersShape = z
  .array(member)
  .max(2000)
  .refine((members) => isDistinct(members.map((m) => m.peerId)), 'has one peer id twice');

export const modelsShape = z
  .array(
    z.object({
      uid: uidText,
      name: nameText,
      generation: count,
      spec: z.record(z.string(), z.unknown()),
      probeSeed: count,
      // As long as Kubernetes lets them be.
      labels: z
        .record(z.string().min(1).max(317), z.string().max(63))
        .refine((labels) => Object.keys(labels).length <= maxModelLabels, 'has too many labels')
        .exactOptional(),
    }),
  )
  .max(256)
  .refine((models) => isDistinct(models.map((m) => m.uid)), 'has one model twice');

export const placementsShape = z
  .array(
    z
      .object({
        model: uidText,
        index: count,
        of: z.int().min(1).max(4096),
        holders: z.array(peerIdText).max(256),
        versionCid: cidText.exactOptional(),
      })
      .refine((p) => p.index < p.of, 'index is not below of')
      .refine((p) => isDistinct(p.holders), 'has one holder twice'),
  )
  .max(8192);

/** Models for the wire: a spec is JSON, so what is undefined is left out. */
export function encodedModels(models: readonly CharterModel[]): z.input<typeof modelsShape> {
  return models.map((m) => ({ ...m, spec: JSON.parse(JSON.stringify(m.spec)) as Record<string, unknown> }));
}

/**
 * A spec written by a newer operator may say what this build does not know. That must not void the charter, whose
 * members have to be obeyed: such a model is set aside and named.
 */
export function readableModels(entries: z.output<typeof modelsShape>): {
  readonly models: readonly CharterModel[];
  readonly unreadable: readonly UnreadableModel[];
} {
  const models: CharterModel[] = [];
  const unreadable: UnreadableModel[] = [];
  for (const { spec, ...entry } of entries) {
    const parsed = ModelSpec.safeParse(spec);
    if (parsed.success) models.push({ ...entry, spec: parsed.data });
    else unreadable.push({ uid: entry.uid, name: entry.name, message: z.prettifyError(parsed.error).slice(0, 300) });
  }
  return { models, unreadable };
}

function isDistinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
