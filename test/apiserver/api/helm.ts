import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const LIMITS = { maxBuffer: 1 << 26, timeout: 900_000 } as const;

/** Helm, if this machine has it or can build it; else why not. */
export type Helm = { readonly found: true; readonly path: string } | { readonly found: false; readonly why: string };

/** Asks tools/get.sh, which builds helm where PATH has none. */
export async function findHelm(): Promise<Helm> {
  try {
    const { stdout } = await run('tools/get.sh', ['helm'], LIMITS);
    return { found: true, path: stdout.trim() };
  } catch (cause) {
    return { found: false, why: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** A rendered object of any kind. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind
  readonly [field: string]: any;
}

/** `helm template`: the objects that the chart makes of these values (`--set-json` pairs). */
export async function template(
  helm: string,
  values: Readonly<Record<string, unknown>> = {},
  namespace = 'murmuration-system',
): Promise<readonly Rendered[]> {
  const sets = Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]);
  const flags = ['template', 'murmuration', 'charts/murmuration', '--namespace', namespace, ...sets];
  const { stdout } = await run(helm, flags, LIMITS);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}

/** `helm lint --strict`. Throws what it says where something is wrong. */
export const lint = (helm: string): Promise<unknown> => run(helm, ['lint', '--strict', 'charts/murmuration'], LIMITS);
