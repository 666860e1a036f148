import type { Connection, Stream } from '@libp2p/interface';
import { deadline } from './deadline.ts';
import { readFrame, writeFrame } from './frame.ts';
import { FrameTooLargeError } from './frame-reader.ts';
import { decodeReply, maxRefusalBytes, type Reply, replyOverheadBytes } from './reply.ts';
import { RequestError } from './request-error.ts';
import type { Interaction, RequestOptions } from './types.ts';
import { errorOf, wordsOf } from './words.ts';

/** One question to one peer. */
export interface Question {
  readonly peer: string;
  readonly protocol: string;
  readonly bytes: Uint8Array;
  readonly options: RequestOptions;
  /** The connection to ask over; may have to be made first. */
  readonly connection: (signal: AbortSignal) => Promise<Connection>;
  readonly onInteraction: (event: Interaction) => void;
}

/**
 * Asks over a stream of its own: request frame out, reply frame in, both within one deadline.
 * @throws RequestError
 */
export async function ask(question: Question): Promise<Uint8Array> {
  const { peer, protocol, options, onInteraction } = question;
  const at = { peer, protocol };
  const limit = deadline(options.timeoutMs, options.signal);
  let stream: Stream | undefined;
  try {
    stream = await openStream(question, limit.signal);
    const reply = await exchange(stream, question, limit.signal);
    switch (reply.kind) {
      case 'ok':
        onInteraction('ok');
        return reply.bytes;
      case 'refused':
        onInteraction('refused');
        throw new RequestError(
          reply.code === 'too-large' ? 'too-large' : 'refused',
          { ...at, code: reply.code },
          reply.message,
        );
      case 'failed':
        throw new RequestError('remote', at, reply.message);
    }
  } catch (error) {
    stream?.abort(errorOf(error));
    if (error instanceof RequestError) throw error;
    if (limit.signal.aborted) {
      // A caller who gives up says nothing about the peer.
      if (limit.expired) onInteraction('timeout');
      throw new RequestError('timeout', at, wordsOf(limit.signal.reason), error);
    }
    throw new RequestError('unreachable', at, wordsOf(error), error);
  } finally {
    limit.clear();
  }
}

async function openStream({ protocol, connection }: Question, signal: AbortSignal): Promise<Stream> {
  const over = await connection(signal);
  return over.newStream(protocol, { signal });
}

async function exchange(stream: Stream, question: Question, signal: AbortSignal): Promise<Reply> {
  const { peer, protocol, bytes, options, onInteraction } = question;
  const maxFrame = replyOverheadBytes + Math.max(options.maxReplyBytes, maxRefusalBytes);
  const reading = readFrame(stream, maxFrame, signal);
  // Written beside the reading: a peer may refuse before it has read everything, and then our write breaks, not the reply.
  const writing = writeFrame(stream, bytes, signal);
  writing.catch(() => undefined);
  let frame: Uint8Array;
  try {
    frame = await reading;
  } catch (error) {
    if (!(error instanceof FrameTooLargeError)) throw error;
    onInteraction('oversize');
    throw new RequestError('too-large', { peer, protocol }, wordsOf(error), error);
  }
  const reply = readReply(frame, question);
  if (reply.kind === 'ok' && reply.bytes.byteLength > options.maxReplyBytes) {
    onInteraction('oversize');
    throw new RequestError('too-large', { peer, protocol }, `the reply has ${reply.bytes.byteLength} bytes`);
  }
  return reply;
}

function readReply(frame: Uint8Array, { peer, protocol, onInteraction }: Question): Reply {
  try {
    return decodeReply(frame);
  } catch (error) {
    onInteraction('malformed');
    throw new RequestError('remote', { peer, protocol }, `its answer is no reply: ${wordsOf(error)}`, error);
  }
}
