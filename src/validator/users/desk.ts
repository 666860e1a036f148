import type { Logger } from 'pino';
import type { ModelUsers } from '../../api/index.ts';
import { MalformedError } from '../../codec/index.ts';
import type { Learner } from '../../learning/index.ts';
import { type CharterModel, isCurrent, type Member, type Overlay, Refusal } from '../../overlay/index.ts';
import {
  MAX_USER_PAYLOAD_BYTES,
  MAX_USER_REQUEST_BYTES,
  type Opener,
  USER_PROTOCOL,
  type UserQuestion,
  userAnswer,
  userQuestion,
} from '../../user/index.ts';
import type { ModelTask } from '../model-task.ts';
import { Bucket, Buckets } from './rate.ts';
import type { UserRows } from './rows.ts';

const second = 1000;
/** Most of the merged model that a user's may be, whatever age it says it has: a user stakes nothing. */
export const USER_SHARE = 0.2;
/** Questions of one user: so many at once, so many a second. */
const QUESTIONS = [40, 2] as const;
/** Models of all users of a model: validators' own exchanges are to outweigh them. */
const MODELS = [4, 1] as const;
/** Questions that are being answered at a time, of all users: each may hold several MiB. */
const AT_ONCE = 8;

export interface DeskParts {
  readonly overlay: Pick<Overlay, 'handle' | 'charter'>;
  readonly opener: Opener;
  readonly rows: UserRows;
  readonly task: (uid: string) => Pick<ModelTask, 'learner' | 'progress' | 'lendAgain'> | undefined;
  /** What became of a question: name of the model, `k` of the question, and `ok` or the code of the refusal. */
  readonly onAnswered: (model: string, question: UserQuestion['k'], outcome: string) => void;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  readonly log: Logger;
}

interface Asking {
  readonly member: Member;
  readonly model: CharterModel;
  readonly terms: ModelUsers;
  readonly learner: Learner;
  readonly task: Pick<ModelTask, 'progress' | 'learner' | 'lendAgain'>;
}

/** Where users are answered: Algorithm 3 of gossip learning, on the validator's side. Everything that they say is doubted. */
export class UserDesk {
  readonly #parts: DeskParts;
  readonly #questions: Buckets;
  readonly #models = new Map<string, Bucket>();
  #answering = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#questions = new Buckets(...QUESTIONS, parts.monotonic);
    const options = { maxRequestBytes: MAX_USER_REQUEST_BYTES, timeoutMs: 30 * second, maxConcurrentPerPeer: 2 };
    parts.overlay.handle(USER_PROTOCOL, options, (request, from) => this.#answer(request, from));
  }

  /** uids of the models that users may send to here now: what the DHT is told. */
  wanted(): readonly string[] {
    const { overlay, rows, task } = this.#parts;
    return (overlay.charter?.models ?? []).flatMap(({ uid, spec: { data } }) => {
      const columns = task(uid)?.learner?.input?.columns;
      const hasRoom = data.users && columns && rows.room(uid, data.users, '', columns) > 0;
      return hasRoom ? [uid] : [];
    });
  }

  /** Forgets what is over, and has learned from it no more. */
  async sweep(): Promise<void> {
    const { rows, overlay, task } = this.#parts;
    for (const uid of await rows.sweep(overlay.charter)) await task(uid)?.lendAgain();
  }

  async #answer(request: Uint8Array, from: string): Promise<Uint8Array> {
    const { overlay } = this.#parts;
    const member = overlay.charter?.members.find(({ peerId }) => peerId === from);
    if (member?.role !== 'user' || !isCurrent(member, this.#parts.now() / second))
      throw new Refusal('not-allowed', 'this is for users of the charter');
    if (!this.#questions.take(from))
      throw new Refusal('busy', 'too many questions of this user: ask again in a second');
    if (this.#answering >= AT_ONCE)
      throw new Refusal('busy', 'too many users are being answered: ask again in a second');
    this.#answering += 1;
    let question: UserQuestion | undefined;
    try {
      question = userQuestion.decode(request);
      const answer = await this.#reply(question, member);
      this.#count(question, 'ok');
      return answer;
    } catch (error) {
      const refusal = error instanceof MalformedError ? new Refusal('malformed', error.message) : error;
      this.#count(question, refusal instanceof Refusal ? refusal.code : 'failed');
      throw refusal;
    } finally {
      this.#answering -= 1;
    }
  }

  #count(question: UserQuestion | undefined, outcome: string): void {
    const { overlay, onAnswered } = this.#parts;
    const model = overlay.charter?.models.find(({ uid }) => uid === question?.model);
    if (question !== undefined && model !== undefined) onAnswered(model.name, question.k, outcome);
  }

  async #reply(question: UserQuestion, member: Member): Promise<Uint8Array> {
    const { rows } = this.#parts;
    if (question.k === 'forget') return this.#forget(question.model, member);
    const asking = this.#asking(question.model, member);
    const { learner, model, task, terms } = asking;
    switch (question.k) {
      case 'offer':
        return this.#offer(asking);
      case 'data': {
        const taken = await rows.take({
          user: member.peerId,
          notAfter: member.notAfter,
          model,
          terms,
          columns: learner.input?.columns ?? 0,
          sealed: question.sealed,
          lend: (all) => learner.lend(all),
        });
        // The learner that it was lent to may have ended meanwhile.
        if (task.learner !== learner) await task.lendAgain();
        this.#parts.log.info({ user: member.peerId, model: model.name, ...taken }, 'took rows of a user');
        return userAnswer.data.encode(taken);
      }
      case 'model':
        return this.#merge(question.frame, asking);
      case 'weights': {
        const frame = await learner.frame();
        if (frame.byteLength > MAX_USER_PAYLOAD_BYTES)
          throw new Refusal('too-large', `the model has ${frame.byteLength} bytes, more than users are sent`);
        return userAnswer.weights.encode({ v: 1, frame });
      }
    }
  }

  #asking(uid: string, member: Member): Asking {
    const { overlay, task: taskOf } = this.#parts;
    const model = overlay.charter?.models.find((one) => one.uid === uid);
    const task = taskOf(uid);
    if (model === undefined || task === undefined) throw new Refusal('not-here', 'this model is not learned here');
    const terms = model.spec.data.users;
    if (terms === undefined)
      throw new Refusal('not-wanted', `model ${model.name} takes nothing from users: spec.data.users is not set`);
    const { learner } = task;
    if (learner === undefined)
      throw new Refusal('not-here', `model ${model.name} is being loaded here: ask again soon`);
    return { member, model, terms, learner, task };
  }

  #offer({ member, model, terms, learner, task }: Asking): Uint8Array {
    const { opener, rows } = this.#parts;
    const { input } = learner;
    if (input === undefined) throw new Refusal('not-here', `model ${model.name} is being loaded here: ask again soon`);
    const { columns, shape, layers, scaling } = input;
    const { factor, offset } = scaling;
    const { accuracy, age } = task.progress;
    return userAnswer.offer.encode({
      v: 1,
      sealKey: opener.sealKey,
      signature: opener.signature,
      age,
      accuracy: accuracy !== undefined && Number.isFinite(accuracy) ? accuracy : null,
      columns,
      ...(shape === undefined ? {} : { shape: [...shape] }),
      ...(layers === undefined ? {} : { layers }),
      classes: model.spec.data.classes,
      scaling: offset === undefined ? { factor } : { factor: [...factor], offset: [...offset] },
      rowsFree: rows.room(model.uid, terms, member.peerId, columns),
      rowsHeld: rows.count(model.uid, member.peerId),
      retainSeconds: terms.retainSeconds,
    });
  }

  /** Merged at once and by itself, past the inbox of neighbours: what a user sends pushes none of theirs out. */
  async #merge(frame: Uint8Array, { member, model, learner }: Asking): Promise<Uint8Array> {
    const { monotonic, log } = this.#parts;
    const bucket = this.#models.get(model.uid) ?? new Bucket(...MODELS, monotonic());
    this.#models.set(model.uid, bucket);
    if (!bucket.take(monotonic())) throw new Refusal('busy', 'users send more models than are merged: send later');
    if (frame.byteLength > learner.maxMessageBytes)
      throw new Refusal('malformed', `no model of this kind has ${frame.byteLength} bytes`);
    const { accepted, age, reason } = await learner.blend(frame, { maxShare: USER_SHARE });
    if (!accepted) log.info({ user: member.peerId, model: model.name, reason }, "refuses a user's model");
    const why = reason === undefined ? {} : { reason: reason.slice(0, 300) };
    return userAnswer.model.encode({ v: 1, age, accepted, ...why });
  }

  async #forget(uid: string, member: Member): Promise<Uint8Array> {
    const { rows, task } = this.#parts;
    const forgotten = await rows.forget(uid, member.peerId);
    if (forgotten > 0) await task(uid)?.lendAgain();
    return userAnswer.forget.encode({ v: 1, rows: forgotten });
  }
}
