/** The figures of each part of a bench, by the name of the part. */
export type PartFigures<Name extends string, Part extends string = string> = Readonly<Record<Part, readonly Name[]>>;

/** Parts and their figures, a line each, for a help text. */
export function listed(parts: PartFigures<string>): string {
  const width = Math.max(...Object.keys(parts).map(({ length }) => length));
  return Object.entries(parts)
    .map(([name, figures]) => `  ${name.padEnd(width)}  ${figures.join(', ')}`)
    .join('\n');
}

/** Runs the parts of a bench that are wanted and keeps what they measured. */
export class Parts<Part extends string, R extends { readonly name: string }> {
  /** Of the parts that came to their end. */
  readonly rows: R[] = [];
  readonly #wanted: ReadonlySet<string>;
  readonly #tell: (line: string) => void;

  /** @param only names of parts and figures, with commas; undefined: all. An unknown name ends the process. */
  constructor(parts: PartFigures<R['name'], Part>, only: string | undefined, tell: (line: string) => void) {
    const known = Object.entries<readonly string[]>(parts);
    const named = only?.split(',') ?? Object.keys(parts);
    const unknown = named.find((name) => !known.flat(2).includes(name));
    if (unknown !== undefined) refuse(`There is no part or figure "${unknown}". See --help.`);
    const wanted = known.filter((names) => names.flat().some((name) => named.includes(name)));
    this.#wanted = new Set(wanted.map(([part]) => part));
    this.#tell = tell;
  }

  isWanted(part: Part): boolean {
    return this.#wanted.has(part);
  }

  /** Runs a part if it is wanted. Where it fails the process will end with 1, but the others' figures are worth having. */
  async run(part: Part, measure: () => Promise<readonly R[]>): Promise<void> {
    if (!this.isWanted(part)) return;
    this.#tell(part);
    const started = performance.now();
    try {
      this.rows.push(...(await measure()));
    } catch (error) {
      process.exitCode = 1;
      this.#tell(`${part} failed: ${String(error)}`);
    }
    this.#tell(`${part} took ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

/** The number that a flag was given; ends the process where it is none above 0. */
export function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  return refuse(`--${flag} ${text}: give a whole number above 0.`);
}

/** Ends the process because of what it was asked. */
export function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
