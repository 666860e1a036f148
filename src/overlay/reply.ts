import { z } from 'zod';
import { decodeChecked, encodeChecked } from '../codec/index.ts';

/**
 * A reply frame: one byte that says which kind, then the handler's bytes (`ok`) or DAG-CBOR `{code, message}`.
 * Codes of the overlay's own: `busy`, `too-large`, `not-allowed`, `too-slow`.
 */
export type Reply =
  | { readonly kind: 'ok'; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

/** The kind byte: what a reply has over and above the handler's bytes. */
export const replyOverheadBytes = 1;

/** Room for a refusal's words, whatever the caller allows for the reply itself. */
export const maxRefusalBytes = 1024;

const okByte = 0;
const refusedByte = 1;
const failedByte = 2;

const words = z.object({ code: z.string().max(64), message: z.string().max(300) });
const limit = { what: 'refusal', maxBytes: maxRefusalBytes } as const;

export function encodeReply(reply: Reply): Uint8Array {
  switch (reply.kind) {
    case 'ok':
      return tagged(okByte, reply.bytes);
    case 'refused':
      return tagged(refusedByte, encodeWords(reply.code, reply.message));
    case 'failed':
      return tagged(failedByte, encodeWords('', reply.message));
  }
}

/** @throws MalformedError */
export function decodeReply(frame: Uint8Array): Reply {
  const body = frame.subarray(1);
  if (frame[0] === okByte) return { kind: 'ok', bytes: body };
  const { code, message } = decodeChecked(body, words, limit);
  return frame[0] === refusedByte ? { kind: 'refused', code, message } : { kind: 'failed', message };
}

function encodeWords(code: string, message: string): Uint8Array {
  return encodeChecked({ code: code.slice(0, 64), message: message.slice(0, 300) }, words, {
    ...limit,
    maxBytes: 4096,
  });
}

function tagged(tag: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + body.byteLength);
  frame[0] = tag;
  frame.set(body, 1);
  return frame;
}
