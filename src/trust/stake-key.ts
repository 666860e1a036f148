import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';

/** A stake key's file or Secret is not a key. The message never holds key bytes. */
export class MalformedKeyError extends Error {
  override readonly name = 'MalformedKeyError';
  readonly code = 'MalformedKey';
  readonly reason: string;
  readonly fix = 'put 32 raw bytes or 64 hex digits of a secp256k1 private key there';

  constructor(where: string, reason: string) {
    super(`the stake key in ${where} cannot be used: ${reason}`);
    this.message += `; ${this.fix}`;
    this.reason = reason;
  }
}

/** A stake key: signs digests and tells its public half. The private half cannot be read from it, printed or serialised. */
export class StakeKey {
  readonly publicKey: string;
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret.slice();
    this.publicKey = publicKeyOf(secret);
  }

  /** Compact signature (64 bytes, low s, RFC 6979) of a 32-byte digest. */
  sign(digest: Uint8Array): Uint8Array {
    if (digest.byteLength !== 32) throw new RangeError(`a digest has 32 bytes, not ${digest.byteLength}`);
    return secp256k1.sign(digest, this.#secret, { prehash: false });
  }
}

/** 32 random bytes that are a valid key: what goes into the Secret. */
export function generateStakeKey(): Uint8Array {
  return secp256k1.utils.randomSecretKey();
}

/**
 * Read a stake key from the bytes of a Secret or file: 32 raw bytes, or 64 hex digits with or without a line end.
 * @param where named in the error, for example the path
 * @throws MalformedKeyError with the reason
 */
export function parseStakeKey(bytes: Uint8Array, where = 'the given bytes'): Uint8Array {
  const secret = bytes.byteLength === 32 ? bytes.slice() : fromHex(bytes, where);
  if (!secp256k1.utils.isValidSecretKey(secret))
    throw new MalformedKeyError(where, 'its number is zero or beyond the order of the curve');
  return secret;
}

/** Compressed public key, 66 hex digits. */
export function publicKeyOf(secret: Uint8Array): string {
  return Buffer.from(secp256k1.getPublicKey(secret, true)).toString('hex');
}

/** Name of a public key's StakeKeyReservation: SHA-256 of the compressed key's 33 bytes, 64 hex digits. */
export function keyDigest(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'hex')).digest('hex');
}

/** Whether a signature of a 32-byte digest is by a public key. False for anything malformed. */
export function verifySignature(digest: Uint8Array, signature: Uint8Array, publicKey: string): boolean {
  try {
    return secp256k1.verify(signature, digest, Buffer.from(publicKey, 'hex'), { prehash: false });
  } catch {
    return false; // not a point, or not a signature: the same answer as a wrong one
  }
}

function fromHex(bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.byteLength === 0) throw new MalformedKeyError(where, 'it is empty');
  const text = bytes.byteLength <= 80 ? Buffer.from(bytes).toString('latin1').trim() : '';
  if (!/^[0-9a-fA-F]{64}$/.test(text))
    throw new MalformedKeyError(
      where,
      `it has ${bytes.byteLength} bytes that are neither 32 raw bytes nor 64 hex digits`,
    );
  return new Uint8Array(Buffer.from(text, 'hex'));
}
