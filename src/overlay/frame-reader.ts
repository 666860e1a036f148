import { Uint8ArrayList } from 'uint8arraylist';
import { plain } from '../codec/index.ts';

/** When thrown, the other side announced a frame over the limit; nothing of it was kept. */
export class FrameTooLargeError extends Error {
  override readonly name = 'FrameTooLargeError';
}

/** A length of more than 28 bits is over every limit that we have. */
const maxLengthBytes = 4;

/** Cuts what a stream brings into frames (unsigned varint length, then the bytes); a length is judged before a byte of its body is kept. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #kept = new Uint8ArrayList();

  /** @param maxBytes of a frame's body */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a frame has begun that is not whole. */
  get isWithin(): boolean {
    return this.#kept.byteLength > 0;
  }

  /** The frames that are whole now. @throws FrameTooLargeError */
  *read(data: Uint8Array | Uint8ArrayList): Generator<Uint8Array> {
    this.#kept.append(data);
    for (;;) {
      const length = lengthOf(this.#kept);
      if (length === undefined) return;
      if (length === 'malformed' || length.body > this.#maxBytes)
        throw new FrameTooLargeError(`the frame says it has more than ${this.#maxBytes} bytes`);
      const whole = length.prefix + length.body;
      if (this.#kept.byteLength < whole) return;
      const frame = plain(this.#kept.slice(length.prefix, whole));
      this.#kept.consume(whole);
      yield frame;
    }
  }
}

/** Of the frame that begins here; undefined while too little of it is there. */
export function lengthOf(
  bytes: Uint8ArrayList,
): { readonly prefix: number; readonly body: number } | 'malformed' | undefined {
  let body = 0;
  for (let i = 0; i < maxLengthBytes; i++) {
    if (i >= bytes.byteLength) return undefined;
    const byte = bytes.get(i);
    body |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { prefix: i + 1, body };
  }
  return 'malformed';
}
