/** What the release knows of a data set that it carries; a Model's spec may leave these out. */
export interface BuiltinFacts {
  readonly file: string;
  /** Divisor of features; absent: features are standardised. */
  readonly scale?: string;
}

/** Sources and licences are in data/README.md. */
export const BUILTIN_FACTS: Readonly<Record<'digits' | 'spambase', BuiltinFacts>> = {
  digits: { file: 'digits.csv.gz', scale: '16' },
  spambase: { file: 'spambase.csv.gz' },
};
