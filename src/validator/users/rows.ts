import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ModelUsers } from '../../api/index.ts';
import { decodeChecked, encode } from '../../codec/index.ts';
import { type Disk, isVolumeFull, namesIn, removeIfThere, replaceFile } from '../../disk/index.ts';
import { BadInputError, type LentRows } from '../../learning/index.ts';
import { type Charter, type CharterModel, currentMembers, Refusal } from '../../overlay/index.ts';
import { count, peerIdText, uidText } from '../../overlay/shapes.ts';
import {
  type DataTaken,
  decodeRows,
  MAX_USER_REQUEST_BYTES,
  type Opener,
  type Sealed,
  sealedShape,
  UserError,
} from '../../user/index.ts';

const second = 1000;
/** Boxes of one user and model: many small ones would cost more than their rows. */
const MAX_BOXES_PER_USER = 64;
const SUFFIX = '.sealed';

const stored = z.strictObject({
  v: z.literal(1),
  user: peerIdText,
  model: uidText,
  /** Unix seconds. */
  since: count,
  until: count,
  columns: z.int().min(1),
  classes: z.int().min(2),
  sealed: sealedShape,
});
const limit = { what: 'a stored box', maxBytes: MAX_USER_REQUEST_BYTES };

/** Rows of one user, as they came. */
interface Box {
  readonly user: string;
  readonly model: string;
  readonly since: number;
  readonly until: number;
  readonly rows: LentRows;
}

/** What is taken in. */
export interface Delivery {
  /** Peer id. */
  readonly user: string;
  /** End of the user's membership, unix seconds; 0: none. */
  readonly notAfter: number;
  readonly model: CharterModel;
  readonly terms: ModelUsers;
  readonly columns: number;
  readonly sealed: Sealed;
  /** Has these rows trained on, with those before. @throws BadInputError, and those before stay */
  readonly lend: (rows: LentRows | undefined) => Promise<void>;
}

export interface UserRowsInit {
  /** On the validator's own volume: nothing serves it. */
  readonly folder: string;
  readonly disk: Disk;
  readonly opener: Opener;
  readonly network: string;
  /** Peer id of this validator. */
  readonly self: string;
  /** Bytes that rows of all users and models may take, in memory and on the volume. */
  readonly maxBytes: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * Rows that users have sent. On the volume they stay as they came: sealed, with a key that is not there. They are lent to the
 * learner, and forgotten when their time is over, their user is no member any more, or their model is gone.
 */
export class UserRows {
  readonly #init: UserRowsInit;
  readonly #boxes = new Map<string, Box>();
  /** Files that could not be removed yet. */
  readonly #left = new Set<string>();
  /** One at a time, so that nobody gets past a limit between two looks. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(init: UserRowsInit) {
    this.#init = init;
  }

  /** Reads what was kept before a restart; what does not open any more is removed. */
  static async open(init: UserRowsInit): Promise<UserRows> {
    const rows = new UserRows(init);
    for (const name of await namesIn(init.disk, init.folder)) await rows.#read(name);
    return rows;
  }

  /** All rows that are lent to a model; undefined where there are none. */
  of(model: string): LentRows | undefined {
    return joined(this.#of(model).map(({ rows }) => rows));
  }

  /** Rows of a model, or those of one user. */
  count(model: string, user?: string): number {
    return this.#of(model, user).reduce((sum, { rows }) => sum + rows.labels.length, 0);
  }

  /** Rows of this user that there is room for. */
  room(model: string, terms: ModelUsers, user: string, columns: number): number {
    const bytes = Math.max(0, this.#init.maxBytes - this.#bytes());
    const free = Math.min(
      terms.maxRows - this.count(model),
      terms.maxRowsPerUser - this.count(model, user),
      Math.floor(bytes / bytesOf(1, columns)),
    );
    return Math.max(0, free);
  }

  /**
   * Opens, checks, lends, keeps. The same rows of the same user are kept once.
   * @throws Refusal that says why not, MalformedError
   */
  take(delivery: Delivery): Promise<DataTaken> {
    return this.#inTurn(() => this.#take(delivery));
  }

  /** Forgets the rows of a user now. @returns how many */
  forget(model: string, user: string): Promise<number> {
    return this.#drop((box) => box.model === model && box.user === user);
  }

  /** Forgets all rows of a model: it cannot learn from them. @returns how many */
  spoiled(model: string): Promise<number> {
    return this.#drop((box) => box.model === model);
  }

  /** Forgets what is over. @returns uids of the models that have fewer rows now */
  async sweep(charter: Charter | undefined): Promise<ReadonlySet<string>> {
    const { disk, now } = this.#init;
    for (const file of this.#left) if (await this.#removed(disk, file)) this.#left.delete(file);
    const seconds = now() / second;
    const members = charter && currentMembers(charter, seconds);
    const terms = charter && new Map(charter.models.map(({ uid, spec }) => [uid, spec.data.users]));
    const fewer = new Set<string>();
    await this.#drop(({ user, model, since, until }) => {
      const its = terms?.get(model);
      const isWanted =
        // Until a charter is known, nothing is known of members and models.
        (members === undefined || members.get(user)?.role === 'user') &&
        (terms === undefined || (its !== undefined && seconds < since + its.retainSeconds));
      if (isWanted && seconds < until) return false;
      fewer.add(model);
      return true;
    });
    return fewer;
  }

  async #take({ user, notAfter, model, terms, columns, sealed, lend }: Delivery): Promise<DataTaken> {
    const { opener, network, self, now, disk } = this.#init;
    const { uid } = model;
    const { classes } = model.spec.data;
    const opened = await opener.open(sealed, { network, model: uid, validator: self, user }).catch((error: unknown) => {
      if (error instanceof UserError) throw new Refusal('malformed', error.message);
      throw error;
    });
    const rows = decodeRows(opened, { columns, classes });
    const name = createHash('sha256').update(`${user}\0${uid}\0`).update(opened).digest('hex');
    const known = this.#boxes.get(name);
    if (known !== undefined) return { v: 1, rows: this.count(uid, user), until: known.until };
    this.#checkRoom(uid, terms, user, rows.labels.length, columns);
    try {
      await lend(joined([...this.#of(uid).map((box) => box.rows), rows]));
    } catch (error) {
      if (error instanceof BadInputError) throw new Refusal('malformed', error.message);
      throw error;
    }
    const since = Math.floor(now() / second);
    const until = Math.min(since + terms.retainSeconds, notAfter === 0 ? Number.MAX_SAFE_INTEGER : notAfter);
    const box: Box = { user, model: uid, since, until, rows };
    try {
      const bytes = encode({ v: 1, user, model: uid, since, until, columns, classes, sealed });
      await replaceFile(disk, this.#file(name), bytes);
    } catch (error) {
      await lend(this.of(uid));
      if (isVolumeFull(error)) throw new Refusal('full', 'the volume of this validator is full: try another one');
      throw error;
    }
    this.#boxes.set(name, box);
    return { v: 1, rows: this.count(uid, user), until };
  }

  #checkRoom(model: string, terms: ModelUsers, user: string, rows: number, columns: number): void {
    const full = (why: string) => new Refusal('full', `${why}: send fewer rows, or try another validator`);
    const [all, own] = [this.count(model), this.count(model, user)];
    if (all + rows > terms.maxRows) throw full(`there are ${all} of ${terms.maxRows} rows of users here already`);
    if (own + rows > terms.maxRowsPerUser)
      throw new Refusal('quota', `one user may have ${terms.maxRowsPerUser} rows here and has ${own}: send fewer rows`);
    if (this.#of(model, user).length >= MAX_BOXES_PER_USER)
      throw new Refusal('quota', `one user may have ${MAX_BOXES_PER_USER} boxes here: send more rows in each`);
    if (this.#bytes() + bytesOf(rows, columns) > this.#init.maxBytes)
      throw full(`rows of users take ${this.#bytes()} of ${this.#init.maxBytes} bytes here already`);
  }

  #drop(isOver: (box: Box) => boolean): Promise<number> {
    return this.#inTurn(async () => {
      let rows = 0;
      for (const [name, box] of this.#boxes) {
        if (!isOver(box)) continue;
        this.#boxes.delete(name);
        rows += box.rows.labels.length;
        if (!(await this.#removed(this.#init.disk, this.#file(name)))) this.#left.add(this.#file(name));
      }
      return rows;
    });
  }

  async #removed(disk: Disk, file: string): Promise<boolean> {
    try {
      await removeIfThere(disk, file);
      return true;
    } catch (error) {
      this.#init.log.warn({ file, err: error }, 'rows of a user could not be removed from the volume; tries again');
      return false;
    }
  }

  async #read(name: string): Promise<void> {
    const { disk, folder, opener, network, self, log } = this.#init;
    const file = path.join(folder, name);
    try {
      if (!name.endsWith(SUFFIX)) throw new Error('it is no box');
      if ((await disk.size(file)) > limit.maxBytes) throw new Error('it is too large');
      const { user, model, since, until, columns, classes, sealed } = decodeChecked(
        await disk.readFile(file),
        stored,
        limit,
      );
      const opened = await opener.open(sealed, { network, model, validator: self, user });
      const rows = decodeRows(opened, { columns, classes });
      this.#boxes.set(name.slice(0, -SUFFIX.length), { user, model, since, until, rows });
    } catch (error) {
      log.warn({ file, err: error }, 'rows of a user cannot be read and are removed');
      if (!(await this.#removed(disk, file))) this.#left.add(file);
    }
  }

  #of(model: string, user?: string): readonly Box[] {
    return [...this.#boxes.values()].filter((box) => box.model === model && (user === undefined || box.user === user));
  }

  #bytes(): number {
    let bytes = 0;
    for (const { rows } of this.#boxes.values()) bytes += rows.features.byteLength + rows.labels.byteLength;
    return bytes;
  }

  #file(name: string): string {
    return path.join(this.#init.folder, `${name}${SUFFIX}`);
  }

  #inTurn<T>(f: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(f);
    this.#queue = mine.catch(() => undefined);
    return mine;
  }
}

const bytesOf = (rows: number, columns: number): number => rows * (columns + 1) * Float32Array.BYTES_PER_ELEMENT;

function joined(parts: readonly LentRows[]): LentRows | undefined {
  if (parts.length === 0) return undefined;
  const features = new Float32Array(parts.reduce((sum, part) => sum + part.features.length, 0));
  const labels = new Int32Array(parts.reduce((sum, part) => sum + part.labels.length, 0));
  let [feature, label] = [0, 0];
  for (const part of parts) {
    features.set(part.features, feature);
    labels.set(part.labels, label);
    feature += part.features.length;
    label += part.labels.length;
  }
  return { features, labels };
}
