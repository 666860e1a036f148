import {
  answerBlock,
  BLOCK_PROTOCOL,
  type ChallengeResponder,
  type ChunkStore,
  MAX_BLOCK_REQUEST_BYTES,
} from '../chunks/index.ts';
import { MalformedError } from '../codec/index.ts';
import { type Overlay, Refusal } from '../overlay/index.ts';
import type { ModelTask } from './model-task.ts';
import { CHALLENGE_PROTOCOL } from './storage-challenges.ts';
import { decodeLearn, encodeLearned, LEARN_PROTOCOL, MAX_LEARN_BYTES } from './wire.ts';

const second = 1000;

export interface ServedParts {
  readonly store: ChunkStore;
  readonly responder: ChallengeResponder;
  readonly task: (uid: string) => ModelTask | undefined;
  readonly isValidator: (peer: string) => boolean;
}

/** What this validator answers to members, beside votes, versions and the swarm: blocks, storage challenges, neighbours' models. */
export function serveProtocols(overlay: Pick<Overlay, 'handle'>, parts: ServedParts): void {
  const { store, responder } = parts;
  overlay.handle(
    BLOCK_PROTOCOL,
    { maxRequestBytes: MAX_BLOCK_REQUEST_BYTES, timeoutMs: 10 * second, maxConcurrentPerPeer: 4 },
    (request) => refusingNonsense(() => answerBlock(store, request)),
  );
  overlay.handle(
    CHALLENGE_PROTOCOL,
    { maxRequestBytes: 256, timeoutMs: 5 * second, maxConcurrentPerPeer: 2 },
    (request) => refusingNonsense(() => responder.answer(request)),
  );
  overlay.handle(
    LEARN_PROTOCOL,
    { maxRequestBytes: MAX_LEARN_BYTES, timeoutMs: 30 * second, maxConcurrentPerPeer: 1 },
    (request, from) => refusingNonsense(async () => takeModel(request, from, parts)),
  );
}

function takeModel(request: Uint8Array, from: string, { task: taskOf, isValidator }: ServedParts): Uint8Array {
  if (!isValidator(from)) throw new Refusal('not-allowed', 'only validators send models');
  const { model, frame } = decodeLearn(request);
  const task = taskOf(model);
  if (task?.learner === undefined) throw new Refusal('not-here', 'this model is not learned here (yet)');
  if (frame.byteLength > task.learner.maxMessageBytes) {
    throw new Refusal('malformed', `no model of this kind has ${frame.byteLength} bytes`);
  }
  task.receive(from, frame);
  return encodeLearned(task.progress.age);
}

/** Bytes of another form are the asker's fault: it is told so, and the overlay counts it. */
async function refusingNonsense(answer: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof MalformedError) throw new Refusal('malformed', error.message);
    throw error;
  }
}
