/** What a command may touch of the outer world, passed in so that tests can stand in for it. */
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { type SignalSource, stopSignal } from './stop.ts';

/** A stream that people or programs read. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** The world of one command. */
export interface Io {
  /** Results. */
  readonly out: Output;
  /** Progress and errors. */
  readonly err: Output;
  /** All of standard input as text. */
  readonly readInput: () => Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths are read from. */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Resolves after so many milliseconds; rejects when the signal aborts. */
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Aborted when a person or the kubelet asks the command to end. */
  readonly signal: AbortSignal;
}

/** The real world. */
export function processIo(source: SignalSource = process): Io {
  return {
    out: process.stdout,
    err: process.stderr,
    readInput: () => text(process.stdin),
    env: process.env,
    folder: process.cwd(),
    now: Date.now,
    wait: (milliseconds, signal) => wait(milliseconds, undefined, { signal }),
    signal: stopSignal(source).signal,
  };
}
