import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { MessageStream } from '@libp2p/interface';
import { type ICryptoInterface, noise } from '@libp2p/noise';
import { defaultCrypto } from '@libp2p/noise/crypto';
import { Uint8ArrayList } from 'uint8arraylist';

const cipherName = 'chacha20-poly1305';
const tagBytes = 16;
/** Below, the cipher that libp2p brings (WebAssembly) is faster than a call of OpenSSL. */
const smallBytes = 700;
/** What is gathered for one write to the socket, at most. */
const maxGatheredBytes = 256 * 1024;

type NoiseFactory = ReturnType<typeof noise>;

/**
 * Noise as libp2p has it, for less CPU a byte: keys are imported once and not once a frame, a frame is enciphered in one piece, and
 * what is sent in one turn goes to the socket in one write (libp2p writes each of its pieces by itself: length, header, text, tag).
 */
export function encryption(): NoiseFactory {
  const create = noise({ crypto });
  return (components) => {
    const encrypter = create(components);
    const { secureInbound, secureOutbound } = encrypter;
    encrypter.secureInbound = (connection, options) => secureInbound.call(encrypter, gathering(connection), options);
    encrypter.secureOutbound = (connection, options) => secureOutbound.call(encrypter, gathering(connection), options);
    return encrypter;
  };
}

const keys = new WeakMap<Uint8Array, KeyObject>();

/** A key of 32 bytes lives as long as its connection. */
function keyOf(bytes: Uint8Array): KeyObject {
  const known = keys.get(bytes);
  if (known !== undefined) return known;
  const key = createSecretKey(bytes);
  keys.set(bytes, key);
  return key;
}

/** RFC 8439, as Noise uses it. */
const crypto: ICryptoInterface = {
  ...defaultCrypto,
  chaCha20Poly1305Encrypt(plaintext, nonce, ad, k) {
    if (plaintext.byteLength < smallBytes) return defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, k);
    const cipher = createCipheriv(cipherName, keyOf(k), nonce, { authTagLength: tagBytes });
    cipher.setAAD(ad, { plaintextLength: plaintext.byteLength });
    // A stream cipher: what went in is out, and `final` adds nothing.
    const text = cipher.update(plaintext.subarray());
    cipher.final();
    return new Uint8ArrayList(text, cipher.getAuthTag());
  },
  /** @param dst the ciphertext without its tag in one piece, which libp2p makes anyway */
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst) {
    const length = ciphertext.byteLength - tagBytes;
    if (length < smallBytes) return defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, k, dst);
    const decipher = createDecipheriv(cipherName, keyOf(k), nonce, { authTagLength: tagBytes });
    decipher.setAAD(ad, { plaintextLength: length });
    decipher.setAuthTag(ciphertext.subarray(length));
    const text = decipher.update(dst?.byteLength === length ? dst : ciphertext.subarray(0, length));
    decipher.final();
    return text;
  },
};

/** Gathers what is sent in one turn; the stream is changed and given back. */
function gathering<T extends MessageStream>(stream: T): T {
  const send = stream.send.bind(stream);
  const close = stream.close.bind(stream);
  let gathered = new Uint8ArrayList();
  let hasRoom = true;
  const flush = (): void => {
    if (gathered.byteLength === 0) return;
    const bytes = gathered.subarray();
    gathered = new Uint8ArrayList();
    try {
      hasRoom = send(bytes);
    } catch {
      // The other side has closed or aborted meanwhile: this is lost, as anything under way.
    }
  };
  stream.addEventListener('drain', () => {
    hasRoom = true;
  });
  stream.send = (data) => {
    if (stream.status !== 'open') return send(data);
    if (gathered.byteLength === 0) queueMicrotask(flush);
    gathered.append(data);
    if (gathered.byteLength >= maxGatheredBytes) flush();
    return hasRoom;
  };
  stream.close = (options) => {
    flush();
    return close(options);
  };
  return stream;
}
