import { CHARTER_FILE } from '../../api/index.ts';
import type { ConfigMap } from '../../kube/index.ts';
import {
  type Charter,
  decodeSignedCharter,
  encodeSignedCharter,
  openCharter,
  type SignedCharter,
} from '../../overlay/index.ts';
import { digestOf } from '../digest.ts';
import { managed, names } from '../labels.ts';
import type { CharterContent } from './plan.ts';

/** Annotation with the number of the charter, for people and for the case that the charter itself cannot be read. */
export const CHARTER_SEQ = 'murmuration.dev/charter-seq';
/** Annotation with a digest of what the charter says, without number and date. */
export const CHARTER_CONTENT = 'murmuration.dev/charter-content';
/** Label by which charters are told from other ConfigMaps. */
export const charterLabels = { ...managed, 'app.kubernetes.io/component': 'charter' } as const;

/** The ConfigMap in which a charter is recorded before it is spoken, and from which new pods read it. */
export function buildRecord(
  namespace: string,
  network: string,
  signed: SignedCharter,
  charter: Charter,
  resourceVersion: string | undefined,
): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: names.charter(network),
      namespace,
      labels: { ...charterLabels },
      annotations: { [CHARTER_SEQ]: String(charter.seq), [CHARTER_CONTENT]: contentDigest(charter) },
      // The optimistic lock: two operators never record two charters under one number.
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    binaryData: { [CHARTER_FILE]: Buffer.from(encodeSignedCharter(signed)).toString('base64') },
  };
}

/** Name of what a charter says. */
export const contentDigest = ({ members, models, placements }: CharterContent): string =>
  digestOf({ members, models, placements });

/** A record as read: its number, and the charter where it is ours. */
export interface CharterRecord {
  readonly seq: number;
  readonly signed: SignedCharter | undefined;
  readonly charter: Charter | undefined;
  /** Digest of what it says, as annotated; undefined where the charter is not ours or damaged. */
  readonly content: string | undefined;
}

/** Records by the object from the store, which never changes, for the authority that they were read for. */
const remembered = new WeakMap<ConfigMap, { readonly authority: string; readonly record: Promise<CharterRecord> }>();

/** What the ConfigMap says; checked once for each version of it. */
export function readRecord(
  record: ConfigMap | undefined,
  expected: { readonly authority: string; readonly network: string },
): Promise<CharterRecord> {
  if (record === undefined) return read(record, expected);
  const known = remembered.get(record);
  if (known?.authority === expected.authority) return known.record;
  const fresh = read(record, expected);
  remembered.set(record, { authority: expected.authority, record: fresh });
  return fresh;
}

/** A charter that was not signed by our key, or is damaged, leaves only its number. */
async function read(
  record: ConfigMap | undefined,
  expected: { readonly authority: string; readonly network: string },
): Promise<CharterRecord> {
  const annotated = Number(record?.metadata.annotations?.[CHARTER_SEQ] ?? 0);
  const seq = Number.isSafeInteger(annotated) && annotated > 0 ? annotated : 0;
  const file = record?.binaryData?.[CHARTER_FILE];
  if (file === undefined) return { seq, signed: undefined, charter: undefined, content: undefined };
  try {
    const signed = decodeSignedCharter(Buffer.from(file, 'base64'));
    const charter = await openCharter(signed, expected);
    return {
      seq: Math.max(seq, charter.seq),
      signed,
      charter,
      content: record?.metadata.annotations?.[CHARTER_CONTENT],
    };
  } catch {
    // Whatever is wrong with it, the answer is a new charter with a higher number.
    return { seq, signed: undefined, charter: undefined, content: undefined };
  }
}
