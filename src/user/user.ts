import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BackendName,
  createLearner as createRealLearner,
  type DataFile,
  type Dataset,
  type Learner,
  type LearnerInit,
  type LearnerLog,
  readTable,
} from '../learning/index.ts';
import {
  type CharterModel,
  currentMembers,
  type Member,
  type Overlay,
  providerKey,
  type Report,
  RequestError,
} from '../overlay/index.ts';
import { type Candidate, neutralReputation, rankValidators, reputationsOf } from './choose.ts';
import { UserError } from './errors.ts';
import {
  type DataTaken,
  MAX_USER_PAYLOAD_BYTES,
  MAX_USER_REPLY_BYTES,
  type ModelTaken,
  USER_PROTOCOL,
  type UserOffer,
  type UserQuestion,
  userAnswer,
  userQuestion,
} from './protocol.ts';
import { encodeRows, rowsPerBox } from './rows.ts';
import { seal } from './seal.ts';

const second = 1000;
const ASK_MILLISECONDS = 20 * second;
const FIND_MILLISECONDS = 5 * second;
/** What is told in the DHT is there some seconds after whoever tells it: so long a user waits for the first one. */
const PATIENCE_MILLISECONDS = 60 * second;
/** Validators that a user is connected to before it asks where others are: one may know of no others. */
const MET = 3;
/** Validators that are asked what they offer, of those found. */
const MAX_ASKED = 16;
/** Share of a user's rows that it does not train on, to see how it does on them. */
const HELD_OUT = 0.2;

/** What a user gives: rows, sealed; models, trained on them here; or both. */
export type Share = 'data' | 'model' | 'both';

/** How a user is set up. */
export interface UserInit {
  /** Started; a member of the charter with role `user`. It stays the caller's. */
  readonly overlay: Pick<Overlay, 'peerId' | 'charter' | 'peers' | 'dial' | 'request' | 'findProviders' | 'subscribe'>;
  /** `namespace/network`. */
  readonly network: string;
  /** Name of the Model. */
  readonly model: string;
  readonly share: Share;
  /** Most validators that are sent to in a round. */
  readonly to: number;
  /** The user's table as stored, of any format that a Model's data may be of. */
  readonly data: DataFile;
  /** Name of the table, for messages. */
  readonly file: string;
  /** Label column; that of the Model where it is left out. */
  readonly label?: string | undefined;
  /** An address at which a validator can be dialed from here; its charter addresses where it gives none. */
  readonly reach?: ((validator: Member, signal: AbortSignal) => Promise<string | undefined>) | undefined;
  readonly backend?: BackendName | undefined;
  readonly log?: LearnerLog | undefined;
  readonly createLearner?: ((init: LearnerInit) => Learner) | undefined;
  /** Unix milliseconds. Default: Date.now. */
  readonly now?: (() => number) | undefined;
  /** Milliseconds to wait for the first validator that takes users of the model. Default: 60 000. */
  readonly patienceMilliseconds?: number | undefined;
}

/** What one validator made of what it was sent. */
export interface Sent {
  /** Name of the ValidatorNode. */
  readonly validator: string;
  readonly peerId: string;
  /** Rows that it has of this user, and until when (unix seconds). */
  readonly data?: Omit<DataTaken, 'v'>;
  /** What became of the model. */
  readonly model?: Omit<ModelTaken, 'v'>;
  /** Why it took nothing, as a sentence. */
  readonly refused?: string;
}

/** One round of Algorithm 2. */
export interface Round {
  /** Rows of the user's table. */
  readonly rows: number;
  /** The user's own model after its update; absent where only data are shared. */
  readonly own?: { readonly age: number; readonly loss: number };
  readonly sent: readonly Sent[];
  /** Validators that take users of this model, as found in this round. */
  readonly found: number;
  /** Least accuracy that they tell, 0..1; undefined where none does. */
  readonly accuracy: number | undefined;
}

interface Found extends Candidate {
  readonly member: Member;
  readonly offer: UserOffer;
}

/**
 * A user: Algorithm 2 of gossip learning (Hegedus, Danner, Jelasity 2021). Each `round` updates its model on its own rows, begun from
 * a chosen validator's, then sends what is to be shared. Rows leave this process sealed to the validators that are chosen,
 * once each; they go to another only when one of these is gone.
 */
export class User {
  readonly #init: UserInit;
  readonly #now: () => number;
  readonly #table: Dataset;
  readonly #reports = new Map<string, Report>();
  readonly #unsubscribe: () => void;
  /** What each validator keeps of the rows, by peer id. */
  readonly #kept = new Map<string, Omit<DataTaken, 'v'>>();
  #learner: Learner | undefined;

  private constructor(init: UserInit, table: Dataset) {
    this.#init = init;
    this.#now = init.now ?? Date.now;
    this.#table = table;
    this.#unsubscribe = init.overlay.subscribe('reports', (report, from) => this.#reports.set(from, report));
  }

  /**
   * Reads the table.
   * @throws UserError when the network has no such model, it takes no users, or the table does not fit
   * @throws DataError when the table cannot be read
   */
  static async open(init: UserInit): Promise<User> {
    const { data, file, share } = init;
    const table = await readTable(data, file, dataSpec(init, modelOf(init)));
    if (share === 'data' || table.rows >= 2) return new User(init, table);
    table.close();
    throw new UserError('data', `${file} has one row: a model needs at least two, one to learn and one to test.`);
  }

  /**
   * Finds validators, learns, sends. One validator that refuses or is silent is told of in the result, not thrown.
   * @throws UserError when nobody takes users of this model, or the table does not fit
   */
  async round(signal: AbortSignal): Promise<Round> {
    const { share, to } = this.#init;
    const model = modelOf(this.#init);
    const found = await this.#find(model, signal);
    const ranked = rankValidators(found, share !== 'model');
    if (ranked.length === 0)
      throw new UserError('no-validator', `No validator has room for rows of model ${model.name}.`);
    const own = share === 'data' ? undefined : await this.#learn(model, ranked, signal);
    const sent: Sent[] = [];
    let took = 0;
    for (const one of ranked) {
      if (took >= to) break;
      signal.throwIfAborted();
      const outcome = await this.#send(model, one, own?.frame, signal);
      if (outcome.refused === undefined) took += 1;
      sent.push(outcome);
    }
    const accuracies = found.flatMap(({ offer }) => offer.accuracy ?? []);
    return {
      rows: this.#table.rows,
      ...(own === undefined ? {} : { own: { age: own.age, loss: own.loss } }),
      sent,
      found: found.length,
      accuracy: accuracies.length === 0 ? undefined : Math.min(...accuracies),
    };
  }

  /** Asks all validators that can be reached to forget this user's rows now. @returns rows forgotten, by validator */
  async forget(signal: AbortSignal): Promise<readonly { readonly validator: string; readonly rows: number }[]> {
    return forgetAt(this.#init, modelOf(this.#init).uid, signal);
  }

  /** Ends the learner and stops listening. What was sent stays with the validators until it runs out. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#table.close();
    await this.#learner?.close();
  }

  async #find(model: CharterModel, signal: AbortSignal): Promise<readonly Found[]> {
    const { overlay } = this.#init;
    const told = new Set([...(await this.#lookUp(providerKey.data(model.uid), signal)), ...this.#kept.keys()]);
    const members = validatorsOf(this.#init, this.#now).filter(({ peerId }) => told.has(peerId));
    const reputations = reputationsOf(this.#reports);
    const refusals: string[] = [];
    const found = await Promise.all(
      members.slice(0, MAX_ASKED).map(async (member): Promise<Found | undefined> => {
        const { peerId } = member;
        try {
          await reachable(this.#init, member, signal);
          const answer = await ask(overlay, peerId, { v: 1, k: 'offer', model: model.uid }, signal);
          const offer = userAnswer.offer.decode(answer);
          const { rowsFree, rowsHeld } = offer;
          return {
            peerId,
            member,
            offer,
            rowsFree,
            rowsHeld,
            reputation: reputations.get(peerId) ?? neutralReputation,
          };
        } catch (error) {
          signal.throwIfAborted();
          refusals.push(`${member.name}: ${wordsOf(error)}`);
          return undefined;
        }
      }),
    );
    const offering = found.filter((one) => one !== undefined);
    if (offering.length === 0) {
      const why = refusals.length === 0 ? 'no validator says so in the DHT (yet)' : refusals.join('; ');
      throw new UserError('no-validator', `Nobody takes users of model ${model.name}: ${why}.`);
    }
    const wrong = offering.find(({ offer }) => offer.columns !== this.#table.columns);
    if (wrong === undefined) return offering;
    throw new UserError(
      'data',
      `${this.#init.file} has ${this.#table.columns} feature columns, model ${model.name} takes ${wrong.offer.columns}.`,
    );
  }

  /** Some have to be asked where others are. */
  async #meetSomebody(signal: AbortSignal): Promise<void> {
    const { overlay, log } = this.#init;
    const members = validatorsOf(this.#init, this.#now);
    const first = Math.floor(Math.random() * members.length);
    for (const member of [...members.slice(first), ...members.slice(0, first)]) {
      if (overlay.peers().length >= MET) return;
      try {
        await reachable(this.#init, member, signal);
      } catch (error) {
        signal.throwIfAborted();
        log?.('debug', 'a validator cannot be reached', { peer: member.peerId, reason: wordsOf(error) });
      }
    }
  }

  async #lookUp(key: string, signal: AbortSignal): Promise<readonly string[]> {
    const { overlay, patienceMilliseconds = PATIENCE_MILLISECONDS } = this.#init;
    const end = performance.now() + patienceMilliseconds;
    for (;;) {
      await this.#meetSomebody(signal);
      const until = AbortSignal.any([signal, AbortSignal.timeout(FIND_MILLISECONDS)]);
      const found = await overlay.findProviders(key, until);
      if (found.length > 0 || this.#kept.size > 0 || performance.now() >= end) return found;
      await sleep(second, undefined, { signal });
    }
  }

  /** Takes over the weights of the first that gives them, and trains on the own rows. */
  async #learn(model: CharterModel, ranked: readonly Found[], signal: AbortSignal) {
    const { overlay } = this.#init;
    const [first] = ranked;
    if (first === undefined) return undefined;
    this.#learner ??= await this.#startLearner(model, first.offer);
    const learner = this.#learner;
    for (const { peerId } of ranked) {
      try {
        const answer = await ask(overlay, peerId, { v: 1, k: 'weights', model: model.uid }, signal);
        await learner.adopt(userAnswer.weights.decode(answer).frame);
        break;
      } catch (error) {
        signal.throwIfAborted();
        this.#init.log?.('debug', 'a validator did not give its weights', { peer: peerId, reason: wordsOf(error) });
      }
    }
    const { age, loss } = await learner.update();
    const frame = await learner.frame();
    if (frame.byteLength <= MAX_USER_PAYLOAD_BYTES) return { age, loss, frame };
    throw new UserError('data', `A compressed model of ${frame.byteLength} bytes is too large to be sent by a user.`);
  }

  async #startLearner(model: CharterModel, offer: UserOffer): Promise<Learner> {
    const { data, file, backend, log = () => undefined, createLearner = createRealLearner } = this.#init;
    const spec = dataSpec(this.#init, model);
    const testRows = Math.max(1, Math.floor(this.#table.rows * HELD_OUT));
    const learner = createLearner({
      model: {
        uid: model.uid,
        name: model.name,
        probeSeed: model.probeSeed,
        spec: {
          ...model.spec,
          // Whoever takes no part in the fleet's strategy learns by itself.
          learning: { ...model.spec.learning, strategy: 'gossip' },
          architecture: offer.layers === undefined ? model.spec.architecture : { layers: offer.layers },
          data: {
            ...spec,
            ...(offer.shape === undefined ? {} : { shape: offer.shape }),
            source: { claim: { claimName: 'of-the-user', path: file } },
            partition: 'iid',
            split: { ...spec.split, testRows },
          },
        },
      },
      partition: { index: 0, of: 1 },
      data,
      scaling: offer.scaling,
      backend,
      log,
    });
    try {
      await learner.ready();
      return learner;
    } catch (error) {
      await learner.close();
      throw error;
    }
  }

  async #send(model: CharterModel, to: Found, frame: Uint8Array | undefined, signal: AbortSignal): Promise<Sent> {
    const { overlay, share } = this.#init;
    const who = { validator: to.member.name, peerId: to.peerId };
    try {
      const data = share === 'model' ? undefined : await this.#sendRows(model, to, signal);
      if (frame === undefined) return { ...who, ...(data === undefined ? {} : { data }) };
      const answer = await ask(overlay, to.peerId, { v: 1, k: 'model', model: model.uid, frame }, signal);
      const { v: _, ...outcome } = userAnswer.model.decode(answer);
      return { ...who, ...(data === undefined ? {} : { data }), model: outcome };
    } catch (error) {
      signal.throwIfAborted();
      return { ...who, refused: wordsOf(error) };
    }
  }

  /** Sends as many rows as the validator has room for, unless it has them. */
  async #sendRows(model: CharterModel, { peerId, offer }: Found, signal: AbortSignal) {
    const { overlay, network } = this.#init;
    const kept = this.#kept.get(peerId);
    if (kept !== undefined && offer.rowsHeld > 0) return kept;
    this.#kept.delete(peerId);
    const table = this.#table;
    const all = spread(table.rows, Math.min(table.rows, offer.rowsFree + offer.rowsHeld));
    const perBox = rowsPerBox(table.columns);
    let taken = { rows: 0, until: 0 };
    for (let from = 0; from < all.length; from += perBox) {
      const rows = all.subarray(from, from + perBox);
      const bytes = encodeRows({
        features: table.read(rows),
        labels: rows.map((row) => table.labels[row] as number),
      });
      const box = { network, model: model.uid, validator: peerId, user: overlay.peerId };
      const sealed = await seal(bytes, offer, box);
      const answer = await ask(overlay, peerId, { v: 1, k: 'data', model: model.uid, sealed }, signal);
      const { v: _, ...now } = userAnswer.data.decode(answer);
      taken = now;
    }
    this.#kept.set(peerId, taken);
    return taken;
  }
}

function modelOf({ overlay, model: name, network }: UserInit): CharterModel {
  const model = overlay.charter?.models.find((one) => one.name === name);
  if (model === undefined) {
    const names = overlay.charter?.models.map((one) => one.name).join(', ') || 'none';
    throw new UserError('no-validator', `Network ${network} has no model "${name}"; its models: ${names}.`);
  }
  if (model.spec.data.users === undefined) {
    throw new UserError(
      'no-validator',
      `Model ${name} takes nothing from users: set spec.data.users in the Model, {} for the usual limits.`,
    );
  }
  return model;
}

/** How the user's own file is read: it has a format and a digest of its own. */
function dataSpec({ label }: UserInit, { spec }: CharterModel): CharterModel['spec']['data'] {
  const { sha256: _, ...data } = spec.data;
  return { ...data, format: 'auto', label: label ?? data.label };
}

/** Asks all validators of the network that can be reached to forget a user's rows. */
export async function forgetAt(
  init: Pick<UserInit, 'overlay' | 'reach' | 'now'>,
  model: string,
  signal: AbortSignal,
): Promise<readonly { readonly validator: string; readonly rows: number }[]> {
  const asked = await Promise.all(
    validatorsOf(init, init.now ?? Date.now).map(async (member) => {
      try {
        await reachable(init, member, signal);
        const answer = await ask(init.overlay, member.peerId, { v: 1, k: 'forget', model }, signal);
        return [{ validator: member.name, rows: userAnswer.forget.decode(answer).rows }];
      } catch {
        signal.throwIfAborted();
        return [];
      }
    }),
  );
  return asked.flat();
}

/** Validators of the charter in force, as it says them. */
const validatorsOf = ({ overlay }: Pick<UserInit, 'overlay'>, now: () => number): readonly Member[] =>
  overlay.charter === undefined
    ? []
    : [...currentMembers(overlay.charter, now() / second).values()].filter(({ role }) => role === 'validator');

/** Connects where the caller knows a way; else the charter's addresses are dialed when it is asked. */
async function reachable(
  { overlay, reach }: Pick<UserInit, 'overlay' | 'reach'>,
  member: Member,
  signal: AbortSignal,
): Promise<void> {
  if (overlay.peers().includes(member.peerId)) return;
  const address = await reach?.(member, signal);
  if (address !== undefined) await overlay.dial(`${address}/p2p/${member.peerId}`);
}

function ask(
  overlay: Pick<Overlay, 'request'>,
  peer: string,
  question: UserQuestion,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const limits = { timeoutMs: ASK_MILLISECONDS, maxReplyBytes: MAX_USER_REPLY_BYTES, signal };
  return overlay.request(peer, USER_PROTOCOL, userQuestion.encode(question), limits);
}

/** Numbers of so many rows of a table, evenly from all of it: a table sorted by label keeps all of its labels. */
const spread = (of: number, rows: number): Int32Array =>
  Int32Array.from({ length: rows }, (_, i) => Math.floor((i * of) / rows));

/** A refusal in the peer's own words, without what would move a terminal's cursor; other errors by their message. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  const isRefusal = error instanceof RequestError && error.kind === 'refused';
  return (isRefusal ? words.replace(/^\S+ to \S+ ?: refused: /, '') : words).replace(/\p{Cc}/gu, ' ').slice(0, 300);
}
