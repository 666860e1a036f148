import { expect } from 'vitest';

/** Waits until what `read` gives is as expected: for 20 s, unless told otherwise, since machines may be busy. */
export const eventually = <T>(read: () => T, options: { readonly timeout?: number; readonly interval?: number } = {}) =>
  expect.poll(read, { timeout: 20_000, interval: 25, ...options });
