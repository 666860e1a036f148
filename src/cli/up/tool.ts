/**
 * Runs one program: stdout is its result, each line of stderr its progress. The scripts in `tools/` end a failure with
 * lines that say what, why and what to do; these are the error here.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { failed } from '../errors.ts';
import type { Io } from '../io.ts';

const keptLines = 40;
const maxResult = 64 * 1024 * 1024;

/** How to run a program. */
export interface ToolOptions {
  readonly folder: string;
  readonly env: Io['env'];
  /** Ends the program with SIGTERM. */
  readonly signal: AbortSignal;
  /** Called for each line of stderr. */
  readonly say?: (line: string) => void;
  /** Written to stdin. */
  readonly input?: string;
}

/** How a program ended. */
export interface ToolEnd {
  readonly code: number;
  /** stdout without the white space around it. */
  readonly result: string;
  /** The last lines of stderr. */
  readonly said: readonly string[];
}

/** Runs a program to its end, whatever its exit code. Rejects only where it cannot be started, or on abort. */
export async function tryTool(command: readonly string[], options: ToolOptions): Promise<ToolEnd> {
  const [program = '', ...words] = command;
  options.signal.throwIfAborted();
  const child = spawn(program, words, {
    cwd: options.folder,
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stop = (): void => void child.kill('SIGTERM');
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    const said: string[] = [];
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => {
      if (line.trim() === '') return;
      said.push(line);
      if (said.length > keptLines) said.shift();
      options.say?.(line.trim());
    });
    const parts: string[] = [];
    let size = 0;
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      size += text.length;
      if (size <= maxResult) parts.push(text);
    });
    child.stdin.on('error', () => undefined); // A program that does not read its input is none of our business.
    child.stdin.end(options.input ?? '');
    const code = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (exit) => resolve(exit ?? 1));
    });
    options.signal.throwIfAborted();
    return { code, result: parts.join('').trim(), said };
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    throw failed(`${program} could not be run.`, `See whether ${program} is there and may be executed.`, error);
  } finally {
    options.signal.removeEventListener('abort', stop);
  }
}

/** Runs a program and gives its result; a failure is told with what it said last. */
export async function tool(command: readonly string[], options: ToolOptions): Promise<string> {
  const end = await tryTool(command, options);
  if (end.code === 0) return end.result;
  const [program = '', ...words] = command;
  const name = `${program.split('/').pop()} ${words.slice(0, 3).join(' ')}`.trim();
  const why = end.said.slice(-12).join('\n  ');
  throw failed(`${name} failed with exit code ${end.code}${why === '' ? '.' : `:\n  ${why}`}`);
}
