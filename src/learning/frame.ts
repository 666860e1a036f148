import { z } from 'zod';
import { decodeChecked, encode, MalformedError } from '../codec/index.ts';
import { type Codec, packFloat32, packInt8, unpackFloat32, unpackInt8 } from './compression.ts';
import { allFinite, describe, type Layout, sameTensor } from './layout.ts';
import type { AgedWeights } from './strategy.ts';

/** Ages above this are taken for lies: at 1000 updates a second it is 31 years away. */
export const MAX_AGE = 1e12;

/** Bytes of a frame beyond its weights: keys, names, shapes. */
const OVERHEAD_BYTES = 1024;
const OVERHEAD_BYTES_PER_TENSOR = 512;

const frameShape = z.strictObject({
  v: z.literal(1),
  /** Uid of the Model. */
  model: z.string().max(128),
  age: z.int().min(0).max(MAX_AGE),
  codec: z.enum(['int8', 'f32']),
  tensors: z.array(
    z.strictObject({
      name: z.string().max(256),
      shape: z.array(z.int().min(0)).max(8),
      scale: z.number().min(0).optional(),
      data: z.instanceof(Uint8Array),
    }),
  ),
});
type Frame = z.output<typeof frameShape>;

export type Decoded =
  | { readonly isValid: true; readonly weights: AgedWeights }
  | { readonly isValid: false; readonly reason: string };

/** Longest frame that can be valid for a model; read no more than this from a neighbour. */
export function maxFrameBytes(layout: Layout): number {
  return layout.size * 4 + OVERHEAD_BYTES + layout.slots.length * OVERHEAD_BYTES_PER_TENSOR;
}

/** One model's weights as a self-describing DAG-CBOR frame. */
export function encodeFrame(model: string, weights: AgedWeights, layout: Layout, codec: Codec): Uint8Array {
  const frame: Frame = {
    v: 1,
    model,
    age: weights.age,
    codec,
    tensors: layout.slots.map(({ name, shape, offset, length }) => {
      const values = weights.flat.subarray(offset, offset + length);
      const packed = codec === 'int8' ? packInt8(values) : packFloat32(values);
      return { name, shape: [...shape], ...packed };
    }),
  };
  return encode(frame);
}

/** Checks hostile bytes against the model they should be of: size, form, names, shapes, lengths, finite values. */
export function decodeFrame(bytes: Uint8Array, model: string, layout: Layout): Decoded {
  let frame: Frame;
  try {
    frame = decodeChecked(bytes, frameShape, { what: 'the frame', maxBytes: maxFrameBytes(layout) });
  } catch (error) {
    if (error instanceof MalformedError) return refuse(error.message);
    throw error;
  }
  if (frame.model !== model) return refuse(`the frame is of model ${frame.model}, expected ${model}`);
  if (frame.tensors.length !== layout.slots.length) {
    return refuse(`the frame has ${frame.tensors.length} tensors, this model has ${layout.slots.length}`);
  }
  const flat = new Float32Array(layout.size);
  const bytesPerValue = frame.codec === 'int8' ? 1 : 4;
  for (const [i, slot] of layout.slots.entries()) {
    const tensor = frame.tensors[i];
    if (tensor === undefined || !sameTensor(tensor, slot)) {
      return refuse(`tensor ${i} is ${describe(tensor)}, this model has ${describe(slot)} there`);
    }
    if (tensor.data.length !== slot.length * bytesPerValue) {
      return refuse(`tensor ${slot.name} has ${tensor.data.length} bytes, expected ${slot.length * bytesPerValue}`);
    }
    const into = flat.subarray(slot.offset, slot.offset + slot.length);
    if (frame.codec === 'f32') unpackFloat32(tensor.data, into);
    else if (tensor.scale === undefined) return refuse(`tensor ${slot.name} has no scale`);
    else unpackInt8({ scale: tensor.scale, data: tensor.data }, into);
    if (!allFinite(into)) return refuse(`tensor ${slot.name} holds a number that is not finite`);
  }
  return { isValid: true, weights: { flat, age: frame.age } };
}

function refuse(reason: string): Decoded {
  return { isValid: false, reason: `Message refused: ${reason}.` };
}
