import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import { z } from 'zod';

/** Shapes that several messages share. */

/** Peer id text of an ed25519 key: identity multihash, so the public key is inside it. */
export const peerIdText = z.string().regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, 'is no ed25519 peer id');

/** A count: a whole number, not negative, exact in a double. */
export const count = z.int().nonnegative();

export const uidText = z.string().min(1).max(64);

/** A Kubernetes name. */
export const nameText = z.string().min(1).max(253);

/** `namespace/network`. */
export const networkText = z.string().regex(/^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/, 'is no namespace/network');

export const cidText = z
  .string()
  .max(128)
  .refine((text) => parses(() => CID.parse(text)), 'is no CID');

export const addressText = z
  .string()
  .max(256)
  .refine((text) => parses(() => multiaddr(text)), 'is no multiaddr');

function parses(f: () => unknown): boolean {
  try {
    f();
    return true;
  } catch {
    return false;
  }
}
