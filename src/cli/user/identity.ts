/** Who a user is: one key, in a file that nobody else may read. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { generateIdentity, MalformedKeyError, parseIdentity } from '../../overlay/index.ts';
import { failed, reasonOf } from '../errors.ts';
import type { Io } from '../io.ts';

/** A user's key, in libp2p protobuf form. */
export interface UserIdentity {
  readonly key: Uint8Array;
  readonly peerId: string;
  readonly file: string;
  /** It was made just now. */
  readonly isNew: boolean;
}

/** Where the key is kept unless --identity names another file. */
export const identityFile = (given: string | undefined, { env, folder }: Pick<Io, 'env' | 'folder'>): string =>
  given === undefined
    ? join(env.XDG_CONFIG_HOME ?? join(env.HOME ?? homedir(), '.config'), 'murmuration', 'user.key')
    : resolve(folder, given);

/** Reads the key; makes one where there is none. @throws CommandError */
export async function userIdentity(file: string): Promise<UserIdentity> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const { key, peerId } = await generateIdentity();
    await writeFile(file, key, { mode: 0o600, flag: 'wx' });
    return { key, peerId, file, isNew: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return readIdentity(file);
    throw failed(`The identity cannot be kept in ${file}: ${reasonOf(error)}.`, 'Name another file with --identity.');
  }
}

/** Reads the key. @throws CommandError where there is none, or others may read it */
export async function readIdentity(file: string): Promise<UserIdentity> {
  let key: Uint8Array;
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) {
      throw failed(`Others may read the identity in ${file}.`, `Keep it to yourself: chmod 600 ${file}`);
    }
    key = new Uint8Array(await readFile(file));
  } catch (error) {
    if (error instanceof Error && !('code' in error)) throw error;
    throw failed(`The identity in ${file} cannot be read: ${reasonOf(error)}.`, 'Name another file with --identity.');
  }
  try {
    return { key, peerId: parseIdentity(key).peerId, file, isNew: false };
  } catch (error) {
    if (!(error instanceof MalformedKeyError)) throw error;
    throw failed(
      `The file ${file} is no identity: ${error.reason}.`,
      'Name another file with --identity, or remove this one.',
    );
  }
}
