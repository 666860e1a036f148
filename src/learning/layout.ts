import type { NamedTensor } from './contract.ts';
import { ModelError } from './errors.ts';

/** Where each tensor lies in a model's flat weights. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** A model's tensors, in order, laid out in one Float32Array of `size` numbers. */
export interface Layout {
  readonly slots: readonly Slot[];
  readonly size: number;
}

export function layoutOf(tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]): Layout {
  const slots: Slot[] = [];
  let offset = 0;
  for (const { name, shape } of tensors) {
    const length = shape.reduce((product, side) => product * side, 1);
    slots.push({ name, shape, offset, length });
    offset += length;
  }
  return { slots, size: offset };
}

/** Copies flat weights out as named tensors. */
export function toTensors(flat: Float32Array, layout: Layout): NamedTensor[] {
  return layout.slots.map(({ name, shape, offset, length }) => ({
    name,
    shape,
    data: flat.slice(offset, offset + length),
  }));
}

/**
 * Copies named tensors into flat weights.
 * @throws ModelError when they are of another model or hold a number that is not finite
 */
export function fromTensors(tensors: readonly NamedTensor[], layout: Layout): Float32Array {
  if (tensors.length !== layout.slots.length) {
    throw new ModelError(`The weights have ${tensors.length} tensors, this model has ${layout.slots.length}.`);
  }
  const flat = new Float32Array(layout.size);
  layout.slots.forEach((slot, i) => {
    const tensor = tensors[i];
    if (tensor === undefined || !sameTensor(tensor, slot) || tensor.data.length !== slot.length) {
      throw new ModelError(
        `Tensor ${i} is ${describe(tensor)}, this model has ${describe(slot)} there: these weights are of another model.`,
      );
    }
    if (!allFinite(tensor.data)) throw new ModelError(`Tensor ${slot.name} holds a number that is not finite.`);
    flat.set(tensor.data, slot.offset);
  });
  return flat;
}

export function sameTensor(
  a: { readonly name: string; readonly shape: readonly number[] },
  b: { readonly name: string; readonly shape: readonly number[] },
): boolean {
  return a.name === b.name && a.shape.length === b.shape.length && a.shape.every((side, i) => side === b.shape[i]);
}

export function describe(tensor: { readonly name: string; readonly shape: readonly number[] } | undefined): string {
  return tensor === undefined ? 'missing' : `${tensor.name.slice(0, 64)} [${tensor.shape.slice(0, 8).join(', ')}]`;
}

export function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
