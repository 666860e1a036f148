import { mkdir, readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { errorCode, realDisk, removeIfThere } from '../disk/index.ts';
import { ProtectionStore } from './protection.ts';
import { type Signing, signerServer } from './signer-server.ts';
import { MalformedKeyError, parseStakeKey, StakeKey } from './stake-key.ts';

export interface SignerOptions {
  /** The stake key: a mounted Secret's file. */
  readonly keyFile: string;
  /** Path of the Unix socket. It is made with mode 0660: who may ask is who is in the file's group. */
  readonly socket: string;
  /** Folder of the slashing protection, on the volume that outlives the pod. */
  readonly protectionDir: string;
  /** pino. */
  readonly log: FastifyBaseLogger;
  /** Aborting it closes the signer. */
  readonly signal?: AbortSignal;
  /** How often an unusable key file is read again. Default 2 s. */
  readonly retryMs?: number;
}

export interface Signer {
  /** Settles with the public key once votes can be signed; rejects when the signer is closed before. */
  readonly ready: Promise<string>;
  /** Settles when the signer has stopped. */
  readonly closed: Promise<void>;
  /** Stop listening, answer what is under way, remove the socket. */
  close(): Promise<void>;
}

/** The socket belongs to a signer that runs. */
export class SocketInUseError extends Error {
  override readonly name = 'SocketInUseError';
  readonly code = 'SocketInUse';

  constructor(socket: string) {
    super(`${socket} belongs to a signer that is running; stop it, or give this one another socket`);
  }
}

/**
 * Run a signer: listen at once, and sign as soon as the key file holds a key. A key file that is missing or malformed is not an end:
 * the signer says so in its log and in /healthz, and reads it again until it is repaired.
 * @throws SocketInUseError, or the file system's error when the socket cannot be made
 */
export async function startSigner(options: SignerOptions): Promise<Signer> {
  const { keyFile, socket, protectionDir, log, retryMs = 2_000 } = options;
  const stopping = new AbortController();
  let signing: Signing | { readonly waiting: string } = { waiting: 'the signer has just started' };

  await removeDeadSocket(socket);
  await mkdir(dirname(socket), { recursive: true });
  const server = signerServer({ signing: () => signing, log });
  const umask = process.umask(0o117); // the socket is born with mode 0660: there is no moment in which others may connect
  try {
    await server.listen({ path: socket });
  } finally {
    process.umask(umask);
  }
  log.info({ socket }, 'listening for votes to sign');

  const open = async (): Promise<string> => {
    for (;;) {
      stopping.signal.throwIfAborted();
      let waiting: string;
      try {
        const key = new StakeKey(parseStakeKey(await readFile(keyFile), keyFile));
        signing = { key, protection: await ProtectionStore.open(protectionDir, key.publicKey) };
        log.info({ publicKey: key.publicKey, protectionDir }, 'ready to sign');
        return key.publicKey;
      } catch (error) {
        waiting = explain(error, keyFile);
      }
      const news = !('waiting' in signing) || signing.waiting !== waiting;
      signing = { waiting };
      if (news) log.warn({ keyFile, retryMs }, `not ready: ${waiting}; trying again until it is repaired`);
      await setTimeout(retryMs, undefined, { signal: stopping.signal });
    }
  };
  const ready = open();
  ready.catch(() => undefined); // whoever waits for it hears of it; nobody has to

  const stopped = Promise.withResolvers<void>();
  const close = (): Promise<void> => {
    if (!stopping.signal.aborted) {
      stopping.abort(new Error('the signer was closed'));
      server
        .close()
        .then(() => ready.catch(() => undefined)) // the protection store may be opening just now
        .then(() => log.info('stopped'))
        .then(stopped.resolve, stopped.reject);
    }
    return stopped.promise;
  };
  options.signal?.addEventListener('abort', () => void close(), { once: true });
  if (options.signal?.aborted === true) await close();
  return { ready, closed: stopped.promise, close };
}

function explain(error: unknown, keyFile: string): string {
  if (error instanceof MalformedKeyError) return error.message;
  if (errorCode(error) === 'ENOENT' && error instanceof Error && 'path' in error && error.path === keyFile)
    return `there is no stake key file ${keyFile}; mount the Secret that holds it`;
  return error instanceof Error ? error.message : String(error);
}

/** A socket file that a crash left behind is removed; one that somebody answers on is not. */
async function removeDeadSocket(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve, reject) => {
    const connection = createConnection({ path, timeout: 1_000 });
    const settle = (answer: boolean): void => {
      connection.destroy();
      resolve(answer);
    };
    connection.once('connect', () => settle(true));
    connection.once('timeout', () => settle(true));
    connection.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') settle(false);
      else reject(error);
    });
  });
  if (alive) throw new SocketInUseError(path);
  await removeIfThere(realDisk, path);
}
