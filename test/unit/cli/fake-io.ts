import type { Io, Output } from '../../../src/cli/io.ts';

/** An {@link Io} whose clock moves only when something waits, and which remembers what was written. */
export interface FakeIo extends Io {
  readonly written: { readonly out: () => string; readonly err: () => string };
  readonly stop: AbortController;
}

export function fakeIo(change: Partial<Io> & { readonly terminal?: boolean } = {}): FakeIo {
  const { terminal = false, ...rest } = change;
  let time = Date.parse('2026-11-21T12:00:00Z');
  const out: string[] = [];
  const err: string[] = [];
  const stop = new AbortController();
  const to = (lines: string[]): Output => ({
    write: (text) => lines.push(text),
    isTTY: terminal,
    columns: 120,
    rows: 40,
  });
  return {
    out: to(out),
    err: to(err),
    env: {},
    folder: process.cwd(),
    readInput: async () => '',
    now: () => time,
    wait: async (milliseconds, signal) => {
      signal.throwIfAborted();
      time += milliseconds;
    },
    signal: stop.signal,
    ...rest,
    stop,
    written: { out: () => out.join(''), err: () => err.join('') },
  };
}
