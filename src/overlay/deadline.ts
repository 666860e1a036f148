/** A deadline joined with the caller's own signal. Clear it when done, so that no timer is left. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** True when the time was up (and not the caller who gave up). */
  readonly expired: boolean;
  clear(): void;
}

/** @param ms milliseconds from now */
export function deadline(ms: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    controller.abort(new Error(`not done within ${ms} ms`));
  }, ms);
  const giveUp = () => controller.abort(outer?.reason ?? new Error('given up by the caller'));
  if (outer?.aborted) giveUp();
  else outer?.addEventListener('abort', giveUp, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    clear() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', giveUp);
    },
  };
}
