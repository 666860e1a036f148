import type { Connection, Stream, StreamHandler } from '@libp2p/interface';
import type { Logger } from 'pino';
import { deadline } from './deadline.ts';
import { readFrame, writeFrame } from './frame.ts';
import { FrameTooLargeError } from './frame-reader.ts';
import { encodeReply, type Reply } from './reply.ts';
import { Refusal } from './request-error.ts';
import type { HandleOptions, Interaction } from './types.ts';
import { errorOf, wordsOf } from './words.ts';

const defaultMaxConcurrentPerPeer = 16;

/** How one protocol is served. */
export interface Service {
  readonly protocol: string;
  readonly options: HandleOptions;
  readonly answer: (request: Uint8Array, connection: Connection, signal: AbortSignal) => Promise<Uint8Array>;
  readonly isMember: (peer: string) => boolean;
  readonly onInteraction: (peer: string, event: Interaction) => void;
  readonly log: Logger;
}

/** Streams of one protocol and connection that libp2p lets in: some more than are served, so that "busy" can be said. */
export function maxStreams(options: HandleOptions): number {
  return 2 * (options.maxConcurrentPerPeer ?? defaultMaxConcurrentPerPeer) + 16;
}

/** Serves a protocol: reads one frame, asks the handler, writes one frame, all within one deadline. */
export function serve(service: Service): StreamHandler {
  const { options, isMember, onInteraction, log, protocol } = service;
  const atOnce = options.maxConcurrentPerPeer ?? defaultMaxConcurrentPerPeer;
  const running = new Map<string, number>();

  return async (stream, connection) => {
    const peer = connection.remotePeer.toString();
    const limit = deadline(options.timeoutMs);
    const count = running.get(peer) ?? 0;
    running.set(peer, count + 1);
    // Whoever asked and went away is not worked for.
    const gone = new AbortController();
    const onClose = () => gone.abort(new Error('the asker is gone'));
    stream.addEventListener('close', onClose);
    try {
      const reply =
        count >= atOnce
          ? refused('busy', `${count} requests of this peer are being answered, ask again later`)
          : await replyTo(service, stream, connection, AbortSignal.any([limit.signal, gone.signal]));
      if (!isMember(peer)) throw new Error('the asker is no member any more');
      await writeFrame(stream, encodeReply(reply), limit.signal);
    } catch (error) {
      if (limit.expired) onInteraction(peer, 'timeout');
      log.debug({ peer, protocol, reason: wordsOf(error) }, 'request not answered');
      stream.abort(errorOf(error));
    } finally {
      limit.clear();
      stream.removeEventListener('close', onClose);
      const left = (running.get(peer) ?? 1) - 1;
      if (left > 0) running.set(peer, left);
      else running.delete(peer);
    }
  };
}

async function replyTo(service: Service, stream: Stream, connection: Connection, signal: AbortSignal): Promise<Reply> {
  const { options, onInteraction, log, protocol } = service;
  const peer = connection.remotePeer.toString();
  let request: Uint8Array;
  try {
    request = await readFrame(stream, options.maxRequestBytes, signal);
  } catch (error) {
    if (!(error instanceof FrameTooLargeError)) throw error;
    onInteraction(peer, 'oversize');
    return refused('too-large', `a request may have ${options.maxRequestBytes} bytes`);
  }
  try {
    return { kind: 'ok', bytes: await untilAborted(service.answer(request, connection, signal), signal) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof Refusal) return refused(error.code, error.message);
    // What failed inside is for our log; the asker learns only that it failed.
    log.warn({ peer, protocol, reason: wordsOf(error) }, 'request handler failed');
    return { kind: 'failed', message: 'the handler failed' };
  }
}

/** A handler that does not heed its signal must not hold the stream beyond the deadline. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function refused(code: string, message: string): Reply {
  return { kind: 'refused', code, message };
}
