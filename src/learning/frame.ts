import { z } from 'zod';
import { decodeChecked, encode, MalformedError } from '../codec/index.ts';
import { CODECS, type Codec, type Pack, UNPACK, WEIGHT_CODECS } from './compression.ts';
import { allFinite, describe, type Layout, type Slot, sameTensor } from './layout.ts';
import { type Parcel, type Part, rangeOf } from './strategy.ts';

/** Ages above this are taken for lies: at 1000 updates a second it is 31 years away. */
export const MAX_AGE = 1e12;

/** Bytes of a frame beyond its weights: keys, names, shapes. */
const OVERHEAD_BYTES = 1024;
const OVERHEAD_BYTES_PER_TENSOR = 512;
const MAX_PARTS = 65_536;

const age = z.int().min(0).max(MAX_AGE);
const tensors = z.array(
  z.strictObject({
    name: z.string().max(256),
    shape: z.array(z.int().min(0)).max(8),
    scale: z.number().min(0).optional(),
    data: z.instanceof(Uint8Array),
  }),
);
/** Strict: who does not know a field refuses the frame, rather than merge something else than was meant. */
const frameShape = z.strictObject({
  v: z.literal(1),
  /** Uid of the Model. */
  model: z.string().max(128),
  age,
  codec: z.enum(WEIGHT_CODECS),
  /** Weights: of the part, or all; none in a frame that brings a change only. */
  tensors,
  /** Absent: between equals. */
  way: z.enum(['up', 'down']).optional(),
  part: z
    .strictObject({ index: z.int().min(0), of: z.int().min(2).max(MAX_PARTS) })
    .refine(({ index, of }) => index < of, 'there is no such part')
    .optional(),
  change: z.strictObject({ codec: z.enum(CODECS), tensors }).optional(),
  /** Age of the weights that the change started from. */
  base: age.optional(),
});
type Frame = z.output<typeof frameShape>;
type Tensors = z.output<typeof tensors>;

export type Decoded =
  | { readonly isValid: true; readonly parcel: Parcel }
  | { readonly isValid: false; readonly reason: string };

/** How a sender packs. */
export interface Packing {
  readonly codec: Codec;
  readonly pack: Pack;
}

/** How weights and changes are packed. */
export interface FramePacking {
  readonly weights: Packing & { readonly codec: (typeof WEIGHT_CODECS)[number] };
  readonly change: Packing;
}

/** Longest frame that can be valid for a model; read no more than this from a neighbour. */
export function maxFrameBytes(layout: Layout, models: 1 | 2 = 1): number {
  return models * (layout.size * 4 + OVERHEAD_BYTES + layout.slots.length * OVERHEAD_BYTES_PER_TENSOR);
}

/** A parcel as a self-describing DAG-CBOR frame. */
export function encodeFrame(model: string, parcel: Parcel, layout: Layout, packing: FramePacking): Uint8Array {
  const { way, part, weights, change, base } = parcel;
  const slots = weights === undefined ? [] : slotsOf(layout, part);
  const frame: Frame = {
    v: 1,
    model,
    age: parcel.age,
    codec: packing.weights.codec,
    tensors: weights === undefined ? [] : pack(weights, slots, packing.weights.pack),
    ...(way === 'peer' ? {} : { way }),
    ...(part === undefined ? {} : { part }),
    ...(change === undefined
      ? {}
      : { change: { codec: packing.change.codec, tensors: pack(change, layout.slots, packing.change.pack) } }),
    ...(base === undefined ? {} : { base }),
  };
  return encode(frame);
}

/** Checks hostile bytes against the model they should be of: size, form, names, shapes, lengths, finite values. */
export function decodeFrame(bytes: Uint8Array, model: string, layout: Layout, models: 1 | 2 = 1): Decoded {
  try {
    const what = { what: 'the frame', maxBytes: maxFrameBytes(layout, models) };
    const frame = decodeChecked(bytes, frameShape, what);
    if (frame.model !== model) return refuse(`the frame is of model ${frame.model}, expected ${model}`);
    return { isValid: true, parcel: parcelOf(frame, layout) };
  } catch (error) {
    if (error instanceof MalformedError || error instanceof Unusable) return refuse(error.message);
    throw error;
  }
}

/** Tensors and parts of tensors that lie in a part, as places in the part's own numbers. */
function slotsOf(layout: Layout, part: Part | undefined): readonly Slot[] {
  if (part === undefined) return layout.slots;
  const [from, to] = rangeOf(part, layout.size);
  return layout.slots.flatMap((slot) => {
    const [first, last] = [Math.max(from, slot.offset), Math.min(to, slot.offset + slot.length)];
    return first < last ? [{ ...slot, offset: first - from, length: last - first }] : [];
  });
}

function pack(values: Float32Array, slots: readonly Slot[], how: Pack): Tensors {
  return slots.map(({ name, shape, offset, length }) => {
    const { scale, data } = how(values.subarray(offset, offset + length), shape);
    return { name, shape: [...shape], data, ...(scale === undefined ? {} : { scale }) };
  });
}

function parcelOf(frame: Frame, layout: Layout): Parcel {
  const { way = 'peer', part, change, base } = frame;
  const parcel = { way, age: frame.age, part, base } as const;
  const hasWeights = frame.tensors.length > 0 || change === undefined;
  return {
    ...parcel,
    ...(hasWeights ? { weights: unpack(frame.tensors, slotsOf(layout, part), frame.codec) } : {}),
    ...(change === undefined ? {} : { change: unpack(change.tensors, layout.slots, change.codec) }),
  };
}

class Unusable extends Error {
  override readonly name = 'Unusable';
}

function unpack(found: Tensors, slots: readonly Slot[], codec: Codec): Float32Array {
  if (found.length !== slots.length) {
    throw new Unusable(`the frame has ${found.length} tensors, this model has ${slots.length}`);
  }
  const flat = new Float32Array(slots.reduce((size, { length }) => size + length, 0));
  for (const [i, slot] of slots.entries()) {
    const tensor = found[i];
    if (tensor === undefined || !sameTensor(tensor, slot)) {
      throw new Unusable(`tensor ${i} is ${describe(tensor)}, this model has ${describe(slot)} there`);
    }
    const into = flat.subarray(slot.offset, slot.offset + slot.length);
    const wrong = UNPACK[codec](tensor, into, slot.shape);
    if (wrong !== undefined) throw new Unusable(`tensor ${slot.name} ${wrong}`);
    if (!allFinite(into)) throw new Unusable(`tensor ${slot.name} holds a number that is not finite`);
  }
  return flat;
}

function refuse(reason: string): Decoded {
  return { isValid: false, reason: `Message refused: ${reason}.` };
}
