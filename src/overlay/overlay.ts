import type { Overlay, OverlayInit } from './types.ts';

/**
 * Makes one peer of a network's overlay.
 * @throws MalformedKeyError when the identity is no ed25519 key
 */
export function createOverlay(_init: OverlayInit): Overlay {
  throw new Error('not written yet');
}
