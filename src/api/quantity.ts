import { z } from 'zod';
import { ruled } from './rules.ts';

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const GRAMMAR = /^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE]?)|[eE]([+-]?[0-9]{1,3}))$/;

/** True for what Kubernetes reads as a quantity: `50m`, `256Mi`, `1e3`, `0.5`. */
export const isQuantity = (value: string): boolean => GRAMMAR.test(value);

/**
 * A Kubernetes quantity as a number in its base unit: bytes for memory and storage, cores for cpu. Exact up to 2^53.
 * Source: apimachinery's resource.Quantity.
 * @throws RangeError where the text is no quantity
 */
export function parseQuantity(value: string | number): number {
  if (typeof value === 'number') return value;
  const match = GRAMMAR.exec(value);
  if (match === null) {
    throw new RangeError(`"${value}" is no quantity. Write a number and a unit such as 500m, 256Mi or 1Gi.`);
  }
  const [, digits = '', unit, exponent] = match;
  if (exponent !== undefined) return Number(`${digits}e${exponent}`);
  return Number(digits) * (FACTORS[unit ?? ''] ?? 1);
}

/** Size of a volume, as text. Far outside these bounds Kubernetes keeps what nobody asked for (`1n` becomes `1m`, `9Ei` 2^63 - 1). */
export const size = ruled(z.string().max(32), [
  {
    cel: `isQuantity(self) && !quantity(self).isLessThan(quantity('1Mi')) && !quantity(self).isGreaterThan(quantity('1Pi'))`,
    says: 'must be a size from 1Mi to 1Pi such as "128Mi" or "1Gi".',
    holds: (self) => isQuantity(self) && parseQuantity(self) >= 2 ** 20 && parseQuantity(self) <= 2 ** 50,
  },
]);

/** A quantity as people write it in `resources`: `cpu: 1`, `cpu: 500m`, `memory: 256Mi`. */
export const amount = ruled(z.union([z.int(), z.string().max(32)]).meta({ 'x-kubernetes-int-or-string': true }), [
  {
    cel: `type(self) == string ? isQuantity(self) && !quantity(self).isLessThan(quantity('0')) : int(self) >= 0`,
    says: 'must be a quantity of zero or more such as 1, "500m" or "256Mi".',
    holds: (self) => (typeof self === 'string' ? isQuantity(self) && parseQuantity(self) >= 0 : self >= 0),
  },
]);

/** Requests or limits by resource name: `{cpu: 50m, memory: 256Mi}`. */
export const amounts = z.record(z.string(), amount).meta({ maxProperties: 8 });

const DECIMAL = /^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$/;

/**
 * A fraction as text, since specs hold no floats: `"0.3"`. Zero or more, no exponent.
 * @param example value that the message shows
 */
export const decimal = (field: string, example: string) =>
  ruled(z.string().max(25), [
    {
      cel: `self.matches(r'${DECIMAL.source}')`,
      says: `${field} must be a decimal number in quotes such as "${example}".`,
      holds: (self) => DECIMAL.test(self),
    },
  ]);

/** A measured number as text with three digits after the point, as statuses hold it: 0.9571 becomes "0.957". */
export const toDecimal = (value: number, digits = 3): string => value.toFixed(digits);
