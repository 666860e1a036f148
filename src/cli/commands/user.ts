import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DataError, type DataFile } from '../../learning/index.ts';
import { forgetAt, type Round, type Share, User, UserError } from '../../user/index.ts';
import { failed, misused, reasonOf } from '../errors.ts';
import type { OutputFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { readTrusted } from '../pull/trusted.ts';
import { duration } from '../render/duration.ts';
import { printJson } from '../render/json.ts';
import { count, measure, plural, share as shareText } from '../render/numbers.ts';
import { type Entry, removeEntry, untilLetIn, writeEntry } from '../user/entry.ts';
import { identityFile, readIdentity, userIdentity } from '../user/identity.ts';
import { atPlace, openSession, type Place, type SessionFlags } from '../user/session.ts';

const second = 1000;
/** Rounds follow each other no faster: each asks every chosen validator three things. */
const SHORTEST_ROUND_MILLISECONDS = 2 * second;
const USUAL_ROUNDS = 10;
/** The last rounds, which -o json prints. */
const KEPT_ROUNDS = 100;

/** Flags of `murmur user join`. */
export interface UserJoinFlags extends SessionFlags, OutputFlags {
  readonly data: string;
  readonly share: Share;
  readonly to: number;
  readonly rounds?: number;
  readonly watch?: boolean;
  readonly label?: string;
  readonly identity?: string;
  readonly name: string;
  /** Milliseconds. */
  readonly for: number;
}

/** Flags of `murmur user leave`. */
export interface UserLeaveFlags extends SessionFlags, OutputFlags {
  readonly identity?: string;
}

/** Lets a user in, learns on its rows, sends what it shares: rounds of Algorithm 2. */
export async function userJoin(flags: UserJoinFlags, io: Io): Promise<void> {
  const data = await readTable(flags.data, io);
  const identity = await userIdentity(identityFile(flags.identity, io));
  if (identity.isNew) io.err.write(`Made an identity for you in ${identity.file}: who has the file is you.\n`);
  const joined = await atPlace(flags, io, async (place) => {
    const { client, namespace, model, pods } = place;
    if (model.spec.data.users === undefined) throw takesNoUsers(flags.model, namespace);
    const { network } = model.spec;
    const from = { client, namespace, network, pod: pods[0] ?? '', authority: flags.authority, signal: io.signal };
    let entry: Entry = { namespace, network, peerId: identity.peerId, name: flags.name, until: io.now() + flags.for };
    await writeEntry(client, entry, io.signal);
    const trusted = await untilLetIn(from, entry, io);
    const until = new Date(entry.until).toISOString();
    io.err.write(`You are ${identity.peerId} in network ${network}, until ${until}.\n`);
    await using session = await openSession(place, trusted, identity, flags);
    const user = await User.open({
      overlay: session.overlay,
      network: `${namespace}/${network}`,
      model: flags.model,
      share: flags.share,
      to: flags.to,
      data,
      file: flags.data,
      label: flags.label,
      reach: session.reach,
      now: io.now,
    }).catch(inWords);
    const rounds: Round[] = [];
    try {
      const most = roundsOf(flags);
      for (let done = 1; ; done++) {
        const round = await user.round(io.signal);
        // All of them would be too many, of a user that watches for days.
        if (rounds.push(round) > KEPT_ROUNDS) rounds.shift();
        if (flags.output !== 'json') io.out.write(`${roundText(round, done, io).join('\n')}\n`);
        if (done >= most) break;
        if (entry.until - io.now() < flags.for / 2) {
          entry = { ...entry, until: io.now() + flags.for };
          await writeEntry(client, entry, io.signal);
        }
        await io.wait(Math.max(SHORTEST_ROUND_MILLISECONDS, model.spec.learning.waitMilliseconds), io.signal);
      }
    } catch (error) {
      // A person who watched and has seen enough.
      if (!io.signal.aborted || rounds.length === 0) throw withWhy(error, session.refusals(), namespace);
    } finally {
      await user.close();
    }
    return { namespace, network, model: flags.model, peerId: identity.peerId, until, rounds };
  });
  if (flags.output === 'json') printJson(io.out, 'UserJoined', joined);
  else
    io.out.write(
      `Next:  murmur user leave ${flags.model} -n ${joined.namespace}, for validators to forget your rows before their time\n`,
    );
}

/** Has validators forget a user's rows, and takes it out of the network. */
export async function userLeave(flags: UserLeaveFlags, io: Io): Promise<void> {
  const identity = await readIdentity(identityFile(flags.identity, io));
  const left = await atPlace(flags, io, async (place) => {
    const { client, namespace, model } = place;
    const { network } = model.spec;
    const forgotten = await forgetRows(place, flags, identity, io);
    const wasThere = await removeEntry(client, { namespace, network, peerId: identity.peerId });
    return { namespace, network, model: flags.model, peerId: identity.peerId, forgotten, wasThere };
  });
  if (flags.output === 'json') printJson(io.out, 'UserLeft', left);
  else io.out.write(`${leftText(left).join('\n')}\n`);
}

async function forgetRows(
  place: Place,
  flags: UserLeaveFlags,
  identity: Awaited<ReturnType<typeof readIdentity>>,
  io: Io,
) {
  const { client, namespace, model, pods } = place;
  const { network } = model.spec;
  const from = { client, namespace, network, pod: pods[0] ?? '', authority: flags.authority, signal: io.signal };
  const trusted = await readTrusted(from);
  const member = trusted.charter.members.find(({ peerId }) => peerId === identity.peerId);
  // Whoever is no member any more has no rows left: validators forget them with the membership.
  if (member?.role !== 'user') return [];
  await using session = await openSession(place, trusted, identity, flags);
  const uid = trusted.charter.models.find(({ name }) => name === flags.model)?.uid ?? '';
  // Awaited here: the session ends with this block.
  return await forgetAt({ ...session, now: io.now }, uid, io.signal);
}

async function readTable(file: string, io: Io): Promise<DataFile> {
  const place = resolve(io.folder, file);
  try {
    if ((await stat(place)).isDirectory()) return { folder: place };
    return new Uint8Array(await readFile(place));
  } catch (error) {
    throw misused(
      `The file ${file} cannot be read: ${reasonOf(error)}.`,
      'Give --data a table, or a folder with a folder of PNG images for each class.',
    );
  }
}

/** Rows are sent once; models are worth more the more rounds they had. */
const roundsOf = ({ watch, rounds, share }: UserJoinFlags): number =>
  watch === true ? Number.POSITIVE_INFINITY : (rounds ?? (share === 'data' ? 1 : USUAL_ROUNDS));

function roundText(
  { rows, own, sent, found, accuracy }: Round,
  number: number,
  io: Pick<Io, 'now'>,
): readonly string[] {
  const learned = own === undefined ? '' : `, your loss ${measure(own.loss)} after ${count(own.age)} updates`;
  const fleet = accuracy === undefined ? '' : `, accuracy ${shareText(accuracy)}`;
  const head = `round ${number}: ${plural(rows, 'row')}, ${plural(found, 'validator')} found${fleet}${learned}`;
  const lines = sent.map(({ validator, data, model, refused }) => {
    if (refused !== undefined) return `  ${validator}: took nothing: ${refused}`;
    const left = data === undefined ? 0 : data.until * second - io.now();
    const said = [
      ...(data === undefined ? [] : [`has ${plural(data.rows, 'row')} of you, for ${duration(left)}`]),
      ...(model === undefined
        ? []
        : [model.accepted ? 'merged your model' : `did not merge your model: ${model.reason}`]),
    ];
    return `  ${validator}: ${said.join('; ')}`;
  });
  return [head, ...lines];
}

function leftText({
  network,
  forgotten,
  wasThere,
}: {
  readonly network: string;
  readonly forgotten: Awaited<ReturnType<typeof forgetAt>>;
  readonly wasThere: boolean;
}): readonly string[] {
  const had = forgotten.filter(({ rows }) => rows > 0);
  return [
    ...had.map(({ validator, rows }) => `${validator} has forgotten ${plural(rows, 'row')} of you.`),
    wasThere
      ? `You leave network ${network}: who has not answered forgets you with that.`
      : `You were in network ${network} no more.`,
  ];
}

const takesNoUsers = (model: string, namespace: string) =>
  failed(
    `Model ${model} takes nothing from users.`,
    `Its owner can let them: kubectl patch mdl ${model} -n ${namespace} --type merge -p '{"spec":{"data":{"users":{}}}}'`,
  );

/** What the library says, for a person. */
function inWords(error: unknown): never {
  if (error instanceof DataError || error instanceof UserError)
    throw misused(error.message, 'Correct the file or the flags.');
  throw error;
}

function withWhy(error: unknown, refusals: readonly string[], namespace: string): unknown {
  if (error instanceof DataError || (error instanceof UserError && error.reason === 'data'))
    return misused(error.message, 'Correct the file given with --data.');
  if (!(error instanceof UserError)) return error;
  const why = refusals.length === 0 ? '' : ` (${refusals.join('; ')})`;
  return failed(
    `${error.message.replace(/\.$/, '')}${why}.`,
    `See how validators are: murmur status -n ${namespace}. You need the rights to get and create pods/portforward.`,
  );
}
