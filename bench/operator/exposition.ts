/** One line of a Prometheus exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of the metrics with these names. */
export function samplesOf(text: string, ...names: readonly string[]): readonly Sample[] {
  const wanted = new Set(names);
  const found: Sample[] = [];
  for (const line of text.split('\n')) {
    const end = line.search(/[{ ]/);
    if (end <= 0 || !wanted.has(line.slice(0, end))) continue;
    const labels = Object.fromEntries(
      [...line.matchAll(/([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [label, value]),
    );
    found.push({ name: line.slice(0, end), labels, value: Number(line.slice(line.lastIndexOf(' ') + 1)) });
  }
  return found;
}

export const sum = (samples: readonly Sample[]): number => samples.reduce((total, { value }) => total + value, 0);
