import type { World } from './world.ts';

/** Does something every so many milliseconds until aborted; a failure is handed on and the next time tried again. */
export async function repeat(
  milliseconds: number,
  act: () => Promise<void> | void,
  parts: { readonly sleep: World['sleep']; readonly onError: (error: unknown) => void },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await parts.sleep(milliseconds, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await act();
    } catch (error) {
      if (!signal.aborted) parts.onError(error);
    }
  }
}
