const suffixes: Readonly<Record<string, readonly [base: bigint, exponent: number]>> = {
  n: [10n, -9],
  u: [10n, -6],
  m: [10n, -3],
  '': [10n, 0],
  k: [10n, 3],
  M: [10n, 6],
  G: [10n, 9],
  T: [10n, 12],
  P: [10n, 15],
  E: [10n, 18],
  Ki: [2n, 10],
  Mi: [2n, 20],
  Gi: [2n, 30],
  Ti: [2n, 40],
  Pi: [2n, 50],
  Ei: [2n, 60],
};

const form = /^([+-]?)(\d{0,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/**
 * A Kubernetes quantity (`500m`, `1Gi`, `1e3`) in whole nano-units, rounded up as the API server does; `undefined` when it
 * is none.
 */
export function nanos(text: string | number): bigint | undefined {
  const match = form.exec(String(text));
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent, suffix = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const [base, power] = exponent === undefined ? (suffixes[suffix] ?? [10n, 0]) : ([10n, Number(exponent)] as const);
  const digits = BigInt(whole + fraction);
  const tens = 9 - fraction.length + (base === 10n ? power : 0);
  const scaled = base === 2n ? digits * 2n ** BigInt(power) : digits;
  let value: bigint;
  if (tens >= 0) {
    value = scaled * 10n ** BigInt(tens);
  } else {
    const divisor = 10n ** BigInt(-tens);
    value = (scaled + divisor - 1n) / divisor;
  }
  return sign === '-' ? -value : value;
}

/** Whether both are quantities of the same amount. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  if ((typeof a !== 'string' && typeof a !== 'number') || (typeof b !== 'string' && typeof b !== 'number'))
    return false;
  const left = nanos(a);
  return left !== undefined && left === nanos(b);
}
