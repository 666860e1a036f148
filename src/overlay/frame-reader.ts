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
      const body = bodyOf(this.#kept, this.#maxBytes);
      if (body === undefined || this.#kept.byteLength < body.to) return;
      const frame = plain(this.#kept.slice(body.from, body.to));
      this.#kept.consume(body.to);
      yield frame;
    }
  }
}

/** Where the body of the frame that begins here lies, whole or not; undefined while its length is not there. @throws FrameTooLargeError */
export function bodyOf(
  bytes: Uint8ArrayList,
  maxBytes: number,
): { readonly from: number; readonly to: number } | undefined {
  let length = 0;
  for (let i = 0; i < maxLengthBytes; i++) {
    if (i >= bytes.byteLength) return undefined;
    const byte = bytes.get(i);
    length |= (byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    if (length > maxBytes) break;
    return { from: i + 1, to: i + 1 + length };
  }
  throw new FrameTooLargeError(`the frame says it has more than ${maxBytes} bytes`);
}
