/** SIGTERM and SIGINT as one AbortSignal: the first asks a command to end cleanly, a second one ends it at once. */

/** The part of `process` that is needed. */
export interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  removeListener(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  exit(code: number): unknown;
}

const numbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Which signal asked for the end; the reason of the AbortSignal. */
export class Interrupted extends Error {
  readonly by: keyof typeof numbers;

  constructor(by: keyof typeof numbers) {
    super(`stopped by ${by}`);
    this.name = 'Interrupted';
    this.by = by;
  }
}

/** A signal that aborts on the first SIGTERM or SIGINT, and a way to stop listening. */
export function stopSignal(source: SignalSource): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const listeners = (Object.keys(numbers) as readonly (keyof typeof numbers)[]).map((name) => {
    const listener = (): void => {
      if (controller.signal.aborted) source.exit(128 + numbers[name]);
      else controller.abort(new Interrupted(name));
    };
    source.on(name, listener);
    return { name, listener };
  });
  const release = (): void => {
    for (const { name, listener } of listeners) source.removeListener(name, listener);
  };
  return { signal: controller.signal, release };
}
