import { endianness } from 'node:os';
import type { CID } from 'multiformats/cid';
import { cidOf, matches } from './cid.ts';
import { WrongBytesError } from './errors.ts';
import {
  chunkLength,
  DEFAULT_CHUNK_BYTES,
  decodeManifest,
  elements,
  encodeManifest,
  type Manifest,
  manifestCid,
  type TensorData,
} from './manifest.ts';

/** A block and its name. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

export interface VersionInput {
  /** uid of the Model. */
  readonly model: string;
  readonly network: string;
  readonly age: number;
  readonly tensors: readonly TensorData[];
  /** Bytes per chunk; default 128 KiB. */
  readonly chunkBytes?: number;
  readonly parent?: CID;
}

export interface BuiltVersion {
  /** The version's name. */
  readonly cid: CID;
  readonly manifest: Manifest;
  readonly manifestBlock: Uint8Array;
  readonly chunks: readonly Block[];
}

/** Cut weights into chunks and name them. The same weights give the same CIDs on every machine. Throws MalformedError over a limit. */
export function buildVersion(input: VersionInput): BuiltVersion {
  for (const { name, shape, data } of input.tensors)
    if (elements(shape) !== data.length)
      throw new RangeError(
        `tensor ${name} has ${data.length} values, its shape [${shape.join(', ')}] wants ${elements(shape)}`,
      );
  const chunkBytes = input.chunkBytes ?? DEFAULT_CHUNK_BYTES;
  const stream = new Uint8Array(input.tensors.reduce((sum, tensor) => sum + tensor.data.byteLength, 0));
  let offset = 0;
  for (const { data } of input.tensors) {
    stream.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  toLittleEndian(stream);
  const chunks: Block[] = [];
  for (let at = 0; at < stream.length; at += chunkBytes) {
    const bytes = stream.subarray(at, Math.min(at + chunkBytes, stream.length));
    chunks.push({ cid: cidOf(bytes), bytes });
  }
  const manifestBlock = encodeManifest({
    v: 1,
    model: input.model,
    network: input.network,
    age: input.age,
    tensors: input.tensors.map(({ name, shape, data }) => ({
      name,
      shape: [...shape],
      dtype: 'float32',
      bytes: data.byteLength,
    })),
    chunkBytes,
    bytes: stream.length,
    chunks: chunks.map((chunk) => chunk.cid),
    ...(input.parent === undefined ? {} : { parent: input.parent }),
  });
  return { cid: manifestCid(manifestBlock), manifest: decodeManifest(manifestBlock), manifestBlock, chunks };
}

/** Where {@link assemble} gets a chunk from; `undefined` when it is not there. */
export type GetChunk = (cid: CID, index: number) => Promise<Uint8Array | undefined>;

/** A chunk that {@link assemble} needed was not there. */
export class MissingChunkError extends Error {
  override readonly name = 'MissingChunkError';
  readonly code = 'MissingChunk';
  readonly index: number;

  constructor(cid: string, index: number, chunks: number) {
    super(`chunk ${index} of ${chunks} (${cid}) is not here; fetch it before the version is put together`);
    this.index = index;
  }
}

/**
 * Put a version's tensors together. Every chunk is held against its CID once more, whatever its source.
 * @throws MissingChunkError, WrongBytesError
 */
export async function assemble(manifest: Manifest, getChunk: GetChunk): Promise<readonly TensorData[]> {
  const stream = new Uint8Array(manifest.bytes);
  for (const [index, cid] of manifest.chunks.entries()) {
    const bytes = await getChunk(cid, index);
    if (bytes === undefined) throw new MissingChunkError(cid.toString(), index, manifest.chunks.length);
    if (bytes.byteLength !== chunkLength(manifest, index) || !matches(cid, bytes))
      throw new WrongBytesError(cid.toString(), bytes.byteLength);
    stream.set(bytes, index * manifest.chunkBytes);
  }
  toLittleEndian(stream);
  let offset = 0;
  return manifest.tensors.map(({ name, shape, bytes }) => {
    const data = new Float32Array(stream.buffer, offset, bytes / 4);
    offset += bytes;
    return { name, shape, data };
  });
}

/** The stream is little-endian on the wire; on a big-endian machine this swaps it in place, in either direction. */
function toLittleEndian(stream: Uint8Array): void {
  if (endianness() === 'BE') Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength).swap32();
}
