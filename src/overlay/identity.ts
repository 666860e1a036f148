import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';

/** A peer's identity: who holds the key is the peer. */
export interface Identity {
  readonly privateKey: PrivateKey;
  /** Peer id text: `12D3KooW...`, the ed25519 public key is inside it. */
  readonly peerId: string;
}

/** When thrown, the bytes are no identity key. The bytes themselves are never part of the message. */
export class MalformedKeyError extends Error {
  override readonly name = 'MalformedKeyError';
  readonly reason: string;
  readonly fix: string;

  constructor(reason: string) {
    const fix =
      'restore the key from its backup, or remove the Secret (and the ValidatorNode that uses it) to get a new identity';
    super(`identity key cannot be used: ${reason}; ${fix}`);
    this.reason = reason;
    this.fix = fix;
  }
}

/**
 * Makes a new ed25519 identity.
 * @returns `key`: the private key in libp2p's protobuf form (68 bytes), fit for a Secret; `peerId`: its public name.
 */
export async function generateIdentity(): Promise<{ readonly key: Uint8Array; readonly peerId: string }> {
  const privateKey = await generateKeyPair('Ed25519');
  return { key: privateKeyToProtobuf(privateKey), peerId: peerIdFromPrivateKey(privateKey).toString() };
}

/**
 * Reads an identity key in libp2p's protobuf form.
 * @throws MalformedKeyError when the bytes are empty, of another form, or of another kind of key than ed25519.
 */
export function parseIdentity(key: Uint8Array): Identity {
  if (key.byteLength === 0) throw new MalformedKeyError('it is empty');
  if (key.byteLength > 128) {
    throw new MalformedKeyError(`it has ${key.byteLength} bytes, an ed25519 key in libp2p protobuf form has 68`);
  }
  let privateKey: PrivateKey;
  try {
    privateKey = privateKeyFromProtobuf(key);
  } catch {
    throw new MalformedKeyError('it is not a libp2p private key in protobuf form');
  }
  if (privateKey.type !== 'Ed25519') throw new MalformedKeyError(`it is a ${privateKey.type} key, not an Ed25519 key`);
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey).toString() };
}
