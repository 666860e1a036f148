import { z } from 'zod';
import { bytesUpTo, decodeChecked, encodeChecked } from '../codec/index.ts';
import { count, uidText } from '../overlay/shapes.ts';

/** Frames of the two protocols that only validators speak. */

const mib = 1024 * 1024;

/** A neighbour's compressed model: `{v, model, frame}` in, `{v, age}` (of the receiver) back. */
export const LEARN_PROTOCOL = '/murmuration/learn/1.0.0';
/** 64 MiB: a model of 16 million weights in float32, or four times as many in int8. */
export const MAX_LEARN_BYTES = 64 * mib;
const learn = z.object({ v: z.literal(1), model: uidText, frame: bytesUpTo(MAX_LEARN_BYTES) });
const learned = z.object({ v: z.literal(1), age: count });

export const encodeLearn = (model: string, frame: Uint8Array): Uint8Array =>
  encodeChecked({ v: 1, model, frame }, learn, { what: 'a model', maxBytes: MAX_LEARN_BYTES });
/** @throws MalformedError */
export const decodeLearn = (bytes: Uint8Array): z.output<typeof learn> =>
  decodeChecked(bytes, learn, { what: 'a model', maxBytes: MAX_LEARN_BYTES });
export const encodeLearned = (age: number): Uint8Array =>
  encodeChecked({ v: 1, age }, learned, { what: 'an answer to a model', maxBytes: 256 });

/** Asks for the newest certificate of a model: `{v, model}` in, `{v, certificate?}` back. */
export const VERSIONS_PROTOCOL = '/murmuration/versions/1.0.0';
/** A certificate of a thousand voters is about 150 KiB. */
export const MAX_CERTIFICATE_BYTES = mib;
const latest = z.object({ v: z.literal(1), model: uidText });
const latestReply = z.object({ v: z.literal(1), certificate: bytesUpTo(MAX_CERTIFICATE_BYTES).optional() });

export const encodeLatest = (model: string): Uint8Array =>
  encodeChecked({ v: 1, model }, latest, { what: 'a question for a version', maxBytes: 1024 });
/** @throws MalformedError */
export const decodeLatest = (bytes: Uint8Array): z.output<typeof latest> =>
  decodeChecked(bytes, latest, { what: 'a question for a version', maxBytes: 1024 });
export const encodeLatestReply = (certificate: Uint8Array | undefined): Uint8Array =>
  encodeChecked(certificate === undefined ? { v: 1 } : { v: 1, certificate }, latestReply, {
    what: 'a certificate',
    maxBytes: MAX_CERTIFICATE_BYTES,
  });
/** @throws MalformedError */
export const decodeLatestReply = (bytes: Uint8Array): z.output<typeof latestReply> =>
  decodeChecked(bytes, latestReply, { what: 'a certificate', maxBytes: MAX_CERTIFICATE_BYTES });
