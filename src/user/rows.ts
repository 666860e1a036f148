import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode, MalformedError } from '../codec/index.ts';
import type { LentRows } from '../learning/index.ts';
import { MAX_USER_PAYLOAD_BYTES } from './protocol.ts';

/** What is inside a sealed box: rows as little-endian float32 and their labels as unsigned 16 bits. */
const shape = z.strictObject({
  v: z.literal(1),
  columns: z.int().min(1).max(1_000_000),
  features: bytesUpTo(MAX_USER_PAYLOAD_BYTES),
  labels: bytesUpTo(MAX_USER_PAYLOAD_BYTES),
});

const LABEL_BYTES = 2;
const FEATURE_BYTES = 4;
/** Keys, lengths and the seal's tag. */
const OVERHEAD_BYTES = 256;

/** Rows that fit into one sealed box. At least one: rows that are too long for any fail where they are sealed. */
export const rowsPerBox = (columns: number): number =>
  Math.max(1, Math.floor((MAX_USER_PAYLOAD_BYTES - OVERHEAD_BYTES) / (columns * FEATURE_BYTES + LABEL_BYTES)));

/** Rows as bytes: at least one, and no more than {@link rowsPerBox}. */
export function encodeRows({ features, labels }: LentRows): Uint8Array {
  const packed = {
    features: new Uint8Array(features.length * FEATURE_BYTES),
    labels: new Uint8Array(labels.length * LABEL_BYTES),
  };
  const view = { features: new DataView(packed.features.buffer), labels: new DataView(packed.labels.buffer) };
  for (const [i, value] of features.entries()) view.features.setFloat32(i * FEATURE_BYTES, value, true);
  for (const [row, label] of labels.entries()) view.labels.setUint16(row * LABEL_BYTES, label, true);
  return encode({ v: 1, columns: features.length / labels.length, ...packed });
}

/**
 * Rows from the bytes of somebody who may lie: whole, of the expected width, finite, with labels that there are.
 * @throws MalformedError
 */
export function decodeRows(
  bytes: Uint8Array,
  expected: { readonly columns: number; readonly classes: number },
): LentRows {
  const what = { what: 'a table of rows', maxBytes: MAX_USER_PAYLOAD_BYTES };
  const packed = decodeChecked(bytes, shape, what);
  const { columns } = packed;
  const refuse = (why: string) => new MalformedError(what.what, why);
  if (columns !== expected.columns) throw refuse(`it has ${columns} columns, the model takes ${expected.columns}`);
  const rows = packed.labels.byteLength / LABEL_BYTES;
  if (!Number.isInteger(rows) || rows === 0 || packed.features.byteLength !== rows * columns * FEATURE_BYTES)
    throw refuse('labels and features are not of equally many rows, or there are none');
  const labels = new Int32Array(rows);
  const labelAt = viewOf(packed.labels);
  for (let row = 0; row < rows; row++) {
    const label = labelAt.getUint16(row * LABEL_BYTES, true);
    if (label >= expected.classes) throw refuse(`row ${row + 1} has label ${label}, of ${expected.classes} classes`);
    labels[row] = label;
  }
  const features = new Float32Array(rows * columns);
  const featureAt = viewOf(packed.features);
  for (let i = 0; i < features.length; i++) {
    const value = featureAt.getFloat32(i * FEATURE_BYTES, true);
    if (!Number.isFinite(value)) throw refuse(`row ${Math.floor(i / columns) + 1} holds what is no finite number`);
    features[i] = value;
  }
  return { features, labels };
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
