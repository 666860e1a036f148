import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelUsers } from '../../../src/api/index.ts';
import { type LentRows, readTable } from '../../../src/learning/index.ts';
import {
  createOverlay,
  decodeSignedCharter,
  generateIdentity,
  type Member,
  memoryCharterStore,
  type Overlay,
} from '../../../src/overlay/index.ts';
import {
  encodeRows,
  type Share,
  seal,
  USER_PROTOCOL,
  User,
  UserError,
  type UserInit,
  type UserQuestion,
  userAnswer,
  userQuestion,
} from '../../../src/user/index.ts';
import type { World } from '../../../src/validator/world.ts';
import { npy, zip } from '../learning/data-files.ts';
import { digits, eventually, Flock } from './flock.ts';

const network = 'test/default';
const signal = new AbortController().signal;
const stored = readFileSync(new URL('../../../data/digits.csv.gz', import.meta.url));
const table = await readTable(stored, 'digits', { format: 'csv', label: 'last', classes: 10 });
const rowsWith = (wanted: (label: number) => boolean): number[] =>
  [...table.labels.keys()].filter((row) => wanted(table.labels[row]!));
const row = (at: number): number[] => [...table.read(Int32Array.of(at))];
const csv = (rows: readonly number[]): Uint8Array =>
  Buffer.from(rows.map((at) => [...row(at), table.labels[at]].join(',')).join('\n'));
const nines = rowsWith((label) => label === 9);
/** A user's rows, and others of the same class to ask about. */
const [mine, asked] = [nines.slice(0, 120), nines.slice(120)];

type Person = { readonly key: Uint8Array; readonly peerId: string };

/** Validators that have never trained on a nine, and people who may ask them. What was opened is closed with it. */
class Stage implements AsyncDisposable {
  readonly flock: Flock;
  readonly birds: readonly Awaited<ReturnType<Flock['hatch']>>[];
  readonly model: ReturnType<typeof digits>;
  readonly #opened = new AsyncDisposableStack();
  /** Peers of users that run, by peer id. */
  readonly #entered = new Map<string, Overlay>();

  private constructor(flock: Flock, birds: Stage['birds'], users: Partial<ModelUsers> | undefined) {
    this.flock = flock;
    this.birds = birds;
    this.model = digits({
      data: { source: { builtin: 'digits' }, classes: 10, scale: '16', partition: 'own', ...(users && { users }) },
      versions: { everyAge: 100_000, minimumVoters: 1 },
    });
    this.#opened.defer(() => flock[Symbol.asyncDispose]());
  }

  static async set(
    users: Partial<ModelUsers> | undefined,
    people: readonly Member[],
    { size = 2, world = {} }: { readonly size?: number; readonly world?: Partial<World> } = {},
  ): Promise<Stage> {
    const flock = await Flock.make();
    const birds = await Promise.all(Array.from({ length: size }, (_, i) => flock.hatch(`flock-${i}`)));
    const others = rowsWith((label) => label !== 9);
    for (const [i, { folder }] of birds.entries())
      await writeFile(path.join(folder, 'own.csv'), csv(others.filter((_, at) => at % size === i)));
    const stage = new Stage(flock, birds, users);
    await stage.charter(people);
    await Promise.all(birds.map((bird) => flock.start(bird, world)));
    for (const { name } of birds)
      await eventually(`${name} to learn`, 60, async () => ((await stage.status(name)).age > 0 ? true : undefined));
    return stage;
  }

  charter(people: readonly Member[]): Promise<void> {
    return this.flock.charter([...this.birds.map(({ member }) => member), ...people], [this.model]);
  }

  // biome-ignore lint/suspicious/noExplicitAny: a status is looked at from many sides
  async status(name: string): Promise<any> {
    return (await this.flock.status(name)).models[0] ?? {};
  }

  /** A peer without an address of its own, as a user's process; what it asks is kept. */
  async enter({ key }: Person): Promise<{ readonly overlay: Watched; readonly sent: Uint8Array[] }> {
    const overlay = createOverlay({
      network,
      identity: key,
      authority: this.flock.authority,
      listen: [],
      charters: memoryCharterStore(decodeSignedCharter(await readFile(this.flock.charterFile))),
      log: pino({ level: 'silent' }),
    });
    // Two peers of one identity would push each other's connections out.
    await this.#entered.get(overlay.peerId)?.stop();
    this.#entered.set(overlay.peerId, overlay);
    await overlay.start();
    const sent: Uint8Array[] = [];
    const watched: Watched = {
      peerId: overlay.peerId,
      get charter() {
        return overlay.charter;
      },
      peers: () => overlay.peers(),
      dial: (address) => overlay.dial(address),
      subscribe: (topic, f) => overlay.subscribe(topic, f),
      findProviders: (what, until) => overlay.findProviders(what, until),
      request: (peer, protocol, bytes, options) => {
        sent.push(bytes);
        return overlay.request(peer, protocol, bytes, options);
      },
    };
    return { overlay: watched, sent };
  }

  async user(overlay: Watched, share: Share, more: Partial<UserInit> = {}): Promise<User> {
    const made = await User.open({
      overlay,
      network,
      model: 'digits',
      share,
      to: 1,
      data: csv(mine),
      file: 'mine.csv',
      ...more,
    });
    this.#opened.defer(() => made.close());
    return made;
  }

  /** Share of the nines that nobody was sent which a validator tells. */
  async toldRight(name: string): Promise<number> {
    const { url } = this.flock.birds.get(name)!.running;
    const body = JSON.stringify({ instances: asked.map(row) });
    const answer = await fetch(`${url}/v1/models/digits:predict`, { method: 'POST', body });
    const { predictions } = (await answer.json()) as { predictions: number[][] };
    return predictions.filter((p) => p.indexOf(Math.max(...p)) === 9).length / asked.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#entered.values()].map((overlay) => overlay.stop()));
    await this.#opened.disposeAsync();
  }
}

type Watched = UserInit['overlay'];

const person = ({ peerId }: Person, more: Partial<Member> = {}): Member => ({
  peerId,
  name: 'somebody',
  stakeKey: '',
  weight: 0,
  role: 'user',
  notAfter: 0,
  addresses: [],
  ...more,
});

const ask = (overlay: Pick<Overlay, 'request'>, peer: string, question: UserQuestion) =>
  overlay.request(peer, USER_PROTOCOL, userQuestion.encode(question), { timeoutMs: 10_000, maxReplyBytes: 5_000_000 });

/** The table's rows at these places. */
const partOf = (rows: readonly number[], change: (value: number) => number = (value) => value): LentRows => ({
  features: Float32Array.from(rows.flatMap(row), change),
  labels: Int32Array.from(rows, (at) => table.labels[at]!),
});

describe('a user with rows of a class that no validator has', () => {
  it('raises what all validators tell right through the one that it sealed them to; they expire', async () => {
    const ann = await generateIdentity();
    let ahead = 0;
    await using stage = await Stage.set({ retainSeconds: 600 }, [person(ann)], {
      world: { now: () => Date.now() + ahead },
    });
    const accuracy = async () =>
      Math.min(...(await Promise.all(stage.birds.map(async ({ name }) => (await stage.status(name)).accuracy ?? 0))));
    await eventually('the others to be learned', 60, async () => ((await accuracy()) > 0.8 ? true : undefined));
    for (const { name } of stage.birds) expect(await stage.toldRight(name)).toBe(0);
    const before = await accuracy();
    const { overlay } = await stage.enter(ann);
    const { sent, rows, found } = await (await stage.user(overlay, 'data')).round(signal);
    expect({ sent: sent.map(({ data, refused }) => ({ rows: data?.rows, refused })), rows }).toEqual({
      sent: [{ rows: 120, refused: undefined }],
      rows: 120,
    });
    expect(found).toBeGreaterThan(0);
    const left = sent[0]!.data!.until - Date.now() / 1000;
    expect(left > 550 && left <= 600).toBe(true);
    const { validator: chosen } = sent[0]!;
    const other = stage.birds.find(({ name }) => name !== chosen)!.name;
    expect([(await stage.status(chosen)).userRows, (await stage.status(other)).userRows]).toEqual([120, 0]);
    for (const { name } of stage.birds)
      await eventually(`${name} to tell nines`, 60, async () =>
        (await stage.toldRight(name)) > 0.8 ? true : undefined,
      );
    await eventually('accuracy to rise', 30, async () => ((await accuracy()) > before + 0.05 ? true : undefined));

    // They lie sealed on its volume alone, are there after a restart, and are gone when their time is over.
    const folder = path.join(stage.birds.find(({ name }) => name === chosen)!.folder, 'state', 'users');
    const [file] = await readdir(folder);
    const kept = await readFile(path.join(folder, file!));
    const plain = Buffer.from(encodeRows(partOf(mine)));
    for (let at = 0; at + 64 < plain.byteLength; at += 997)
      expect(kept.includes(plain.subarray(at, at + 64)) && plain.subarray(at, at + 64).some(Boolean)).toBe(false);
    const bird = stage.flock.birds.get(chosen)!;
    await stage.flock.stop(chosen);
    await stage.flock.start(bird, { now: () => Date.now() + ahead });
    await eventually('the rows to be there again', 60, async () =>
      (await stage.status(chosen)).userRows === 120 ? true : undefined,
    );
    ahead = 700_000;
    await eventually('the rows to expire', 20, async () =>
      (await stage.status(chosen)).userRows === 0 ? true : undefined,
    );
    expect(await readdir(folder)).toEqual([]);
  }, 180_000);
});

describe('validators with little room for users', () => {
  let stage: Stage;
  let ann: Person;
  let bob: Person;
  let one: string;
  let other: string;
  beforeAll(async () => {
    [ann, bob] = [await generateIdentity(), await generateIdentity()];
    const people = [person(ann), person(bob, { name: 'bob' })];
    stage = await Stage.set({ maxRows: 100, maxRowsPerUser: 60 }, people);
    [one, other] = stage.birds.map(({ member }) => member.peerId) as [string, string];
  }, 120_000);
  afterAll(() => stage[Symbol.asyncDispose]());

  /** Rows of the table, sealed to a validator by a user. */
  async function sealed(overlay: Watched, to: string, rows: LentRows) {
    const { uid } = stage.model;
    const offer = userAnswer.offer.decode(await ask(overlay, to, { v: 1, k: 'offer', model: uid }));
    const box = { network, model: uid, validator: to, user: overlay.peerId };
    return { v: 1, k: 'data', model: uid, sealed: await seal(encodeRows(rows), offer, box) } as const;
  }

  it('open no box that was sealed to another one, or by another user', async () => {
    const [a, b] = [await stage.enter(ann), await stage.enter(bob)];
    const box = await sealed(a.overlay, one, partOf(mine.slice(0, 5)));
    await expect(ask(a.overlay, other, box)).rejects.toMatchObject({ kind: 'refused', code: 'malformed' });
    await expect(ask(b.overlay, one, box)).rejects.toMatchObject({ kind: 'refused', code: 'malformed' });
    expect(userAnswer.data.decode(await ask(a.overlay, one, box)).rows).toBe(5);
    // The same box again is the same rows.
    expect(userAnswer.data.decode(await ask(a.overlay, one, box)).rows).toBe(5);
    expect(
      userAnswer.forget.decode(await ask(a.overlay, one, { v: 1, k: 'forget', model: stage.model.uid })).rows,
    ).toBe(5);
  });

  it('take as many rows of one user as it may have, and refuse with a reason when they are full', async () => {
    const [a, b] = [await stage.enter(ann), await stage.enter(bob)];
    const first = await (await stage.user(a.overlay, 'data', { to: 2 })).round(signal);
    expect(first.sent.map(({ data }) => data?.rows)).toEqual([60, 60]);
    await expect(ask(a.overlay, one, await sealed(a.overlay, one, partOf(mine.slice(0, 1))))).rejects.toMatchObject({
      code: 'quota',
      message: expect.stringContaining('one user may have 60 rows here and has 60'),
    });
    await expect(ask(b.overlay, one, await sealed(b.overlay, one, partOf(mine.slice(0, 41))))).rejects.toMatchObject({
      code: 'full',
      message: expect.stringContaining('there are 60 of 100 rows of users here already'),
    });
    const second = await (await stage.user(b.overlay, 'data', { to: 2 })).round(signal);
    expect(second.sent.map(({ data }) => data?.rows)).toEqual([40, 40]);
    const third = await stage.user(b.overlay, 'data', { to: 2, data: csv(asked) });
    for (const { sent } of [await third.round(signal)])
      expect(sent.every(({ refused }) => refused !== undefined)).toBe(true);
    await stage.charter([person(ann)]);
    await eventually('the rows of who was removed to be gone', 20, async () =>
      (await stage.status('flock-0')).userRows === 60 ? true : undefined,
    );
    await stage.charter([person(ann), person(bob, { name: 'bob' })]);
    const leaver = await stage.user(a.overlay, 'data');
    await leaver.forget(signal);
    expect((await stage.status('flock-0')).userRows + (await stage.status('flock-1')).userRows).toBe(0);
  }, 60_000);

  it("take a user's rows out of NumPy arrays as out of a table", async () => {
    const { overlay } = await stage.enter(ann);
    const five = mine.slice(0, 5);
    const arrays = {
      'x.npy': npy([5, 8, 8], five.flatMap(row)),
      'y.npy': npy(
        [5],
        five.map(() => 9),
      ),
    };
    const user = await stage.user(overlay, 'data', { data: zip(arrays), file: 'mine.npz' });
    const { rows, sent } = await user.round(signal);
    expect([rows, sent[0]?.data?.rows]).toEqual([5, 5]);
    expect((await user.forget(signal)).map((forgotten) => forgotten.rows).toSorted()).toEqual([0, 5]);
  });

  it('never get a row of a user that shares its model only, and merge the model', async () => {
    const { overlay, sent } = await stage.enter(ann);
    const mixed = rowsWith(() => true).slice(0, 200);
    const user = await stage.user(overlay, 'model', { data: csv(mixed), to: 2 });
    const { sent: outcome, own } = await user.round(signal);
    expect(outcome.map(({ model, data, refused }) => ({ accepted: model?.accepted, data, refused }))).toEqual([
      { accepted: true, data: undefined, refused: undefined },
      { accepted: true, data: undefined, refused: undefined },
    ]);
    expect(own?.age).toBeGreaterThan(10);
    expect(new Set(sent.map((bytes) => userQuestion.decode(bytes).k))).toEqual(new Set(['offer', 'weights', 'model']));
    for (const at of mixed) {
      const values = partOf([at]).features;
      const scaled = values.map((value) => value / 16);
      for (const what of [values, scaled])
        expect(sent.some((bytes) => Buffer.from(bytes).includes(Buffer.from(what.buffer).subarray(0, 48)))).toBe(false);
    }
    expect((await stage.status('flock-0')).userRows).toBe(0);
  }, 60_000);

  it('refuse rows that no honest table holds, and models of another kind', async () => {
    const { overlay } = await stage.enter(ann);
    const far = await sealed(
      overlay,
      one,
      partOf(mine.slice(0, 3), (value) => value * 1e6),
    );
    await expect(ask(overlay, one, far)).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringMatching(/far outside/),
    });
    const { uid } = stage.model;
    const frame = new Uint8Array(10);
    const answer = userAnswer.model.decode(await ask(overlay, one, { v: 1, k: 'model', model: uid, frame }));
    expect(answer).toMatchObject({ accepted: false, reason: expect.stringContaining('refused') });
    const large = ask(overlay, one, { v: 1, k: 'model', model: uid, frame: new Uint8Array(1_000_000) });
    await expect(large).rejects.toMatchObject({ code: 'malformed' });
    await expect(ask(overlay, one, { v: 1, k: 'offer', model: 'another' })).rejects.toMatchObject({ code: 'not-here' });
    const noise = overlay.request(one, USER_PROTOCOL, Buffer.alloc(100, 7), { timeoutMs: 5000, maxReplyBytes: 100 });
    await expect(noise).rejects.toMatchObject({ code: 'malformed' });
    expect((await stage.status('flock-0')).userRows).toBe(0);
  });

  it('answer one that asks too much that it is too much', async () => {
    const { overlay } = await stage.enter(bob);
    const codes: string[] = [];
    // Two questions a second are given back meanwhile.
    for (let i = 0; i < 400 && codes.at(-1) !== 'busy'; i++) {
      const asking = ask(overlay, other, { v: 1, k: 'offer', model: stage.model.uid });
      codes.push(
        await asking.then(
          () => 'ok',
          ({ code }) => code,
        ),
      );
    }
    expect(codes.slice(0, 20)).toEqual(Array(20).fill('ok'));
    expect(codes.at(-1)).toBe('busy');
  }, 120_000);

  it('speak no protocol with who is no member, and not this one with who is no user', async () => {
    const [stranger, cid] = [await generateIdentity(), await generateIdentity()];
    const { overlay } = await stage.enter(stranger);
    const question = { v: 1, k: 'offer', model: stage.model.uid } as const;
    await expect(ask(overlay, one, question)).rejects.toMatchObject({ kind: 'unreachable' });
    const unheard = await stage.user(overlay, 'data', { patienceMilliseconds: 0 });
    await expect(unheard.round(signal)).rejects.toThrow(UserError);
    const people = [person(ann), person(bob, { name: 'bob' })];
    await stage.charter([...people, person(cid, { name: 'observer', role: 'observer' })]);
    const observer = await stage.enter(cid);
    await eventually('the observer to be let in', 20, async () => {
      const asking = ask(observer.overlay, one, question);
      const code = await asking.then(
        () => 'ok',
        (error) => error.code,
      );
      return code === 'not-allowed' ? true : undefined;
    });
  }, 60_000);
});

it('a model that takes nothing from users says so', async () => {
  const ann = await generateIdentity();
  await using stage = await Stage.set(undefined, [person(ann)], { size: 1 });
  const { overlay } = await stage.enter(ann);
  await expect(stage.user(overlay, 'data')).rejects.toThrow(/takes nothing from users: set spec.data.users/);
  const [bird] = stage.birds;
  await expect(ask(overlay, bird!.member.peerId, { v: 1, k: 'offer', model: stage.model.uid })).rejects.toMatchObject({
    code: 'not-wanted',
  });
}, 90_000);
