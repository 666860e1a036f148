import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface';
import { encode } from 'it-length-prefixed';
import { Uint8ArrayList } from 'uint8arraylist';
import { plain } from '../codec/index.ts';
import { bodyOf } from './frame-reader.ts';
import { errorOf } from './words.ts';

/** When thrown, the stream ended or broke before the frame was whole. */
export class FrameBrokenError extends Error {
  override readonly name = 'FrameBrokenError';
}

/** Sends one frame (unsigned varint length, then the bytes) and closes our side of the stream. */
export async function writeFrame(stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  if (!stream.send(encode.single(bytes))) await stream.onDrain({ signal });
  await stream.close({ signal });
}

/**
 * Reads exactly one frame. It listens from the first moment, because a stream loses what waits unread beyond its
 * buffer, and it judges the length before it keeps a byte of the body.
 * @throws FrameTooLargeError, FrameBrokenError, or the signal's reason. The caller closes or aborts the stream.
 */
export function readFrame(stream: Stream, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const kept = new Uint8ArrayList();

    const settle = (settleIt: () => void) => {
      stream.removeEventListener('message', onMessage);
      stream.removeEventListener('end', onEnd);
      stream.removeEventListener('close', onClose);
      signal.removeEventListener('abort', onAbort);
      settleIt();
    };
    const fail = (error: Error) => settle(() => reject(error));

    const onMessage = (event: StreamMessageEvent) => {
      kept.append(event.data);
      try {
        const body = bodyOf(kept, maxBytes);
        if (body === undefined || kept.byteLength < body.to) failIfOver();
        else if (kept.byteLength > body.to) fail(new FrameBrokenError('there is more after the one frame'));
        else settle(() => resolve(plain(kept.slice(body.from, body.to))));
      } catch (error) {
        fail(errorOf(error));
      }
    };
    // 'end' comes once and may have passed while the protocol was negotiated, with bytes pushed back for us since.
    const failIfOver = () => {
      if (stream.readableEnded && stream.readBufferLength === 0) onEnd();
    };
    const onEnd = () => fail(new FrameBrokenError('the stream ended before the frame was whole'));
    const onClose = (event: StreamCloseEvent) => {
      // What was received before the stream closed is still handed out.
      if (event.error === undefined && stream.readBufferLength > 0) return;
      fail(new FrameBrokenError(`the stream broke: ${event.error?.message ?? 'closed'}`));
    };
    const onAbort = () => fail(signal.reason instanceof Error ? signal.reason : new Error('given up'));

    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    stream.addEventListener('end', onEnd);
    stream.addEventListener('close', onClose);
    stream.addEventListener('message', onMessage);
    failIfOver();
    if (stream.status !== 'open' && stream.status !== 'closing' && stream.readBufferLength === 0) {
      fail(new FrameBrokenError(`the stream is ${stream.status}`));
    }
  });
}
