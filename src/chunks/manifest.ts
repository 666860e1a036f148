import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import { decodeChecked, encode } from '../codec/index.ts';
import { cidOf, cidSchema, DAG_CBOR, RAW } from './cid.ts';

/** Largest manifest block, bytes. A manifest of {@link MAX_CHUNKS} chunks is about 2.7 MiB. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Most chunks of a version: 8 GiB in chunks of 128 KiB, and a buffer map of 8 KiB, which still fits a gossip message. */
export const MAX_CHUNKS = 65_536;
/** Most tensors of a version. */
export const MAX_TENSORS = 4_096;
export const MIN_CHUNK_BYTES = 1_024;
export const MAX_CHUNK_BYTES = 1_024 * 1_024;
/** 128 KiB: smaller costs more CPU per byte, larger delays the first relay (measured, see the design of the swarm). */
export const DEFAULT_CHUNK_BYTES = 128 * 1024;

const count = z.number().int().nonnegative();

const tensorSchema = z
  .strictObject({
    name: z.string().min(1).max(256),
    shape: z.array(z.number().int().min(0).max(0x7fff_ffff)).max(8).readonly(),
    dtype: z.literal('float32'),
    /** Length in the version's byte stream. */
    bytes: count,
  })
  .readonly();

/** One tensor of a version: its place in the byte stream follows from the lengths of those before it. */
export type ManifestTensor = z.infer<typeof tensorSchema>;

const manifestSchema = z
  .strictObject({
    v: z.literal(1),
    /** uid of the Model object. */
    model: z.string().min(1).max(128),
    network: z.string().min(1).max(128),
    /** Number of local updates in these weights. */
    age: count,
    tensors: z.array(tensorSchema).max(MAX_TENSORS).readonly(),
    chunkBytes: z.number().int().min(MIN_CHUNK_BYTES).max(MAX_CHUNK_BYTES).multipleOf(4),
    /** Length of the byte stream: all tensors, float32 little-endian, one after another. */
    bytes: count,
    chunks: z.array(cidSchema).max(MAX_CHUNKS).readonly(),
    /** The version this one was learned from, if it was certified. */
    parent: cidSchema.optional(),
  })
  .superRefine((manifest, context) => {
    const fail = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    let total = 0;
    for (const tensor of manifest.tensors) {
      if (tensor.bytes !== 4 * elements(tensor.shape))
        fail('tensors', `${tensor.name}: ${tensor.bytes} bytes do not fit the shape [${tensor.shape.join(', ')}]`);
      total += tensor.bytes;
    }
    if (new Set(manifest.tensors.map((tensor) => tensor.name)).size !== manifest.tensors.length)
      fail('tensors', 'two tensors have the same name');
    if (total !== manifest.bytes) fail('bytes', `${manifest.bytes}, but the tensors add up to ${total}`);
    if (manifest.chunks.length !== Math.ceil(manifest.bytes / manifest.chunkBytes))
      fail('chunks', `${manifest.chunks.length} chunks cannot hold exactly ${manifest.bytes} bytes`);
    if (manifest.chunks.some((cid) => cid.code !== RAW)) fail('chunks', 'a chunk is not a raw block');
  })
  .readonly();

/** The list of a version's tensors and chunks. Its CID is the version's name. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A tensor with its values, row-major. */
export interface TensorData {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The block of a manifest. Throws MalformedError when the manifest breaks a rule: an invalid one is never sent. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const block = encode(manifest);
  decodeManifest(block);
  return block;
}

/** Read a manifest block from anywhere. Every limit and every sum is checked. Throws MalformedError. */
export function decodeManifest(block: Uint8Array): Manifest {
  return decodeChecked(block, manifestSchema, { what: 'a manifest', maxBytes: MAX_MANIFEST_BYTES });
}

/** The version's name: CID of its manifest block. */
export function manifestCid(block: Uint8Array): CID {
  return cidOf(block, DAG_CBOR);
}

/** Length in bytes of chunk `index`: all are `chunkBytes` long but the last. */
export function chunkLength(manifest: Manifest, index: number): number {
  return Math.max(0, Math.min(manifest.chunkBytes, manifest.bytes - index * manifest.chunkBytes));
}

/** Number of elements of a shape; a scalar ([]) has one. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * The chunks `[from, to)` of shard `index` of `of`: contiguous, in order, together all chunks, sizes differing by one at most.
 */
export function shardRange(chunks: number, index: number, of: number): readonly [from: number, to: number] {
  if (!Number.isInteger(of) || of < 1 || !Number.isInteger(index) || index < 0 || index >= of)
    throw new RangeError(`shard ${index} of ${of} does not exist: indexes go from 0 to of - 1`);
  return [Math.floor((chunks * index) / of), Math.floor((chunks * (index + 1)) / of)];
}
