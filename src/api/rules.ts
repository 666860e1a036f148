import { z } from 'zod';

/**
 * A rule that zod and the API server both hold: the same thought once in TypeScript and once in CEL, with one sentence
 * for the person who broke it. A table of documents in test/apiserver keeps the two from drifting apart.
 */
export interface Rule<T> {
  /** CEL expression over `self`; must compile for the field's OpenAPI type and stay within the cost limit. */
  readonly cel: string;
  /** Sentence that names the field and says what to do. */
  readonly says: string;
  /** The same in TypeScript, on the value after defaults. */
  readonly holds: (self: T) => boolean;
  /** Field that the API server puts in front of the message, relative to self: `.classes`. */
  readonly at?: string;
}

/** A rule about a change: CEL over `self` and `oldSelf`, checked on updates only. */
export interface Transition {
  readonly cel: string;
  readonly says: string;
  readonly holds: (self: unknown, before: unknown) => boolean;
  readonly at?: string;
}

/** How a rule appears in a CRD. */
export interface CelValidation {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

const toCel = (rule: { readonly cel: string; readonly says: string; readonly at?: string }): CelValidation => ({
  rule: rule.cel,
  message: rule.says,
  ...(rule.at === undefined ? {} : { fieldPath: rule.at }),
});

/** The schema with rules, besides those that it has: checked by zod's parse and, as `x-kubernetes-validations`, by the API server. */
export function ruled<S extends z.ZodType>(
  schema: S,
  rules: readonly Rule<z.output<S>>[],
  transitions: readonly Transition[] = [],
): S {
  const checked =
    rules.length === 0
      ? schema
      : schema.superRefine((value, context) => {
          for (const rule of rules) {
            if (rule.holds(value)) continue;
            const path = rule.at === undefined ? [] : rule.at.split('.').slice(1);
            context.addIssue({ code: 'custom', message: rule.says, path });
          }
        });
  const before = schema.meta()?.['x-kubernetes-validations'];
  return checked.meta({
    'x-kubernetes-validations': [...(Array.isArray(before) ? before : []), ...[...rules, ...transitions].map(toCel)],
  });
}

/** Text that must match a pattern (RE2 and JavaScript alike), told in a sentence instead of as a regular expression. */
export const text = (pattern: RegExp, max: number, says: string) =>
  ruled(z.string().max(max), [
    { cel: `self.matches(r'${pattern.source}')`, says, holds: (self) => pattern.test(self) },
  ]);

/** A whole number that is stored exactly. */
export const whole = (min: number, max: number) => z.int().min(min).max(max);

/** True where at most one of the named fields is set. */
export const setCount = (self: object, fields: readonly string[]): number =>
  fields.filter((field) => (self as Readonly<Record<string, unknown>>)[field] !== undefined).length;

/** CEL that counts which of the named fields are set. */
export const celSetCount = (fields: readonly string[]): string =>
  fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(' + ');

/** Exactly one of the fields is set; structural schemas know no unions, so this is how a choice is written. */
export const exactlyOne = (fields: readonly string[], says: string): Rule<object> => ({
  cel: `${celSetCount(fields)} == 1`,
  says,
  holds: (self) => setCount(self, fields) === 1,
});

/** At most one of the fields is set. */
export const atMostOne = (fields: readonly string[], says: string): Rule<object> => ({
  cel: `${celSetCount(fields)} <= 1`,
  says,
  holds: (self) => setCount(self, fields) <= 1,
});

/**
 * A field that never changes once the object exists.
 * CEL's optional chaining would read better, but its cost is reckoned as that of the whole object.
 * @param path dotted, relative to self: `storage.size`; only the last step may be absent, the others have defaults
 * @param instead what to do where another value is wanted
 */
export function immutable(path: string, instead: string): Transition {
  const steps = path.split('.');
  return {
    cel: `has(self.${path}) == has(oldSelf.${path}) && (!has(self.${path}) || self.${path} == oldSelf.${path})`,
    at: `.${path}`,
    says: `${path} cannot be changed once set. ${instead}`,
    holds: (self, before) => JSON.stringify(sorted(pick(self, steps))) === JSON.stringify(sorted(pick(before, steps))),
  };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value at the end of the steps, or undefined. */
export const pick = (value: unknown, steps: readonly string[]): unknown =>
  steps.reduce<unknown>((at, step) => (isRecord(at) ? at[step] : undefined), value);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
