/** The bytes of a certified version: its manifest, and its chunks into a folder. */
import type { CID } from 'multiformats/cid';
import { shortCid } from '../../api/index.ts';
import { chunkLength, decodeManifest, MAX_MANIFEST_BYTES, type Manifest, parseBlockCid } from '../../chunks/index.ts';
import { MalformedError } from '../../codec/index.ts';
import type { Charter, CharterModel } from '../../overlay/index.ts';
import type { Connection } from '../cluster/connection.ts';
import { CommandError, failed, misused, reasonOf } from '../errors.ts';
import type { Io } from '../io.ts';
import { readBytes, refusalOf } from '../pod/exchange.ts';
import { bar } from '../render/bar.ts';
import { duration } from '../render/duration.ts';
import { bytes as bytesText, count, plural } from '../render/numbers.ts';
import { BlockMissing, type BlockOptions, fetchBlocks, type WantedBlock } from './blocks.ts';
import type { Certified } from './certified.ts';
import { missingIn, type Present, PulledFolder } from './folder.ts';

const second = 1000;
/** Where a validator serves blocks, to its own pod alone. */
const blocksPort = 8081;
const blockDeadline = 30 * second;
/** A refusal may be longer than a short block. */
const minAnswerBytes = 4096;
const barWidth = 20;

/** What is pulled, and where to. */
export interface Target {
  readonly model: string;
  /** The folder, as a path and as it is shown. */
  readonly out: string;
  readonly shown: string;
  readonly present: Present;
}

/** Who is asked, and until when. */
export interface Around {
  readonly connection: Connection;
  readonly io: Pick<Io, 'now' | 'wait'>;
  readonly signal: AbortSignal;
}

/** What is known of a version by its manifest. */
export interface Known {
  readonly manifest: Manifest;
  readonly manifestBlock: Uint8Array;
}

/** Chunks that are all here now. */
export interface Bytes {
  /** Undefined where the version was in its place already. */
  readonly folder: PulledFolder | undefined;
  /** How many were fetched, by the pod that gave them. */
  readonly fetched: ReadonlyMap<string, number>;
  readonly alreadyHere: number;
}

/** The manifest that the certificate names. @throws CommandError */
export async function readManifest(
  { certificate, sources }: Certified,
  { model, charter }: { readonly model: CharterModel; readonly charter: Charter },
  around: Around,
): Promise<Known> {
  const { version, age } = certificate;
  let manifestBlock = new Uint8Array();
  await fetchBlocks([{ cid: cidOf(version) }], sources, {
    ...optionsOf(around),
    onBlock: async (_, block) => {
      manifestBlock = new Uint8Array(block);
    },
  }).catch((error: unknown) => {
    throw missing(error, model.name);
  });
  try {
    const manifest = decodeManifest(manifestBlock);
    if (manifest.model === model.uid && manifest.network === charter.network && manifest.age === age) {
      return { manifest, manifestBlock };
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
  throw failed(
    `Version ${version} is not what its certificate says: its manifest is of another model or age, or no manifest.`,
    'Do not use it: those who signed it have signed nonsense.',
  );
}

/** Gets the chunks that the folder lacks, and says how far it is. @throws CommandError */
export async function fetchChunks(
  target: Target,
  version: Certified & Known,
  around: Around,
  say: (line: string) => void,
): Promise<Bytes> {
  const { manifest, certificate, sources } = version;
  const { model, out, shown, present } = target;
  if (present.is === 'pulled') {
    await checkPulled(present.version, target, version);
    return { folder: undefined, fetched: new Map(), alreadyHere: manifest.chunks.length };
  }
  const folder = await PulledFolder.open(out, certificate.version, manifest).catch((error: unknown) => {
    throw unwritable(shown, error);
  });
  const places = Map.groupBy(folder.missing, (chunk) => String(manifest.chunks[chunk]));
  const wanted = [...places].map(([cid, [chunk = 0]]) => ({
    cid: cidOf(cid),
    bytes: chunkLength(manifest, chunk),
    index: chunk,
  }));
  const fetched = new Map<string, number>();
  const progress = new Progress(manifest, folder.missing.length, around.io.now);
  await fetchBlocks(wanted, sources, {
    ...optionsOf(around),
    onBlock: async ({ cid }, bytes, source) => {
      for (const chunk of places.get(cid.toString()) ?? []) {
        await folder.write(chunk, bytes).catch((error: unknown) => {
          throw unwritable(shown, error);
        });
        progress.add(bytes.byteLength);
      }
      fetched.set(source, (fetched.get(source) ?? 0) + 1);
      say(progress.text());
    },
  }).catch((error: unknown) => {
    throw missing(error, model);
  });
  return { folder, fetched, alreadyHere: manifest.chunks.length - folder.missing.length };
}

/** Whether what was pulled earlier is this version, and whole. @throws CommandError where not */
async function checkPulled(
  found: string,
  { out, shown }: Target,
  { manifest, certificate: { version } }: Certified & Known,
): Promise<void> {
  if (found !== version) {
    throw misused(
      `${shown} holds version ${shortCid(found)}, and ${shortCid(version)} is to be pulled.`,
      'Name another folder with --out, or remove this one.',
    );
  }
  const damaged = await missingIn(out, manifest);
  if (damaged.length > 0) {
    throw failed(
      `${shown} holds this version, but ${plural(damaged.length, 'chunk')} of it changed since.`,
      'Remove the folder and pull again.',
    );
  }
}

/** How far the bytes are, how fast they come and how long it takes. */
class Progress {
  readonly #total: number;
  readonly #chunks: number;
  readonly #now: () => number;
  readonly #begun: number;
  #here: number;
  #bytes = 0;

  constructor(manifest: Manifest, missing: number, now: () => number) {
    this.#total = manifest.bytes;
    this.#chunks = manifest.chunks.length;
    this.#here = manifest.chunks.length - missing;
    this.#now = now;
    this.#begun = now();
  }

  add(bytes: number): void {
    this.#here += 1;
    this.#bytes += bytes;
  }

  text(): string {
    const share = this.#chunks === 0 ? 1 : this.#here / this.#chunks;
    const spent = this.#now() - this.#begun;
    const rate = spent > 0 ? (this.#bytes * second) / spent : 0;
    const left =
      rate > 0 ? `  ${bytesText(rate)}/s  ${duration(((1 - share) * this.#total * second) / rate)} left` : '';
    return `${bar(share, barWidth)} ${count(this.#here)} of ${plural(this.#chunks, 'chunk')}, ${bytesText(this.#total)}${left}`;
  }
}

const optionsOf = ({ connection, io, signal }: Around): Omit<BlockOptions, 'onBlock'> => ({
  ask: (pod, block, until) => askFor(pod, block, connection, until),
  wait: io.wait,
  signal,
});

async function askFor(
  pod: string,
  block: WantedBlock,
  { tunnels }: Connection,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const port = await tunnels.to(pod, blocksPort);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(blockDeadline)]);
  const answer = await fetch(`http://127.0.0.1:${port}/ipfs/${block.cid}?format=raw`, { signal: limit }).catch(
    (error: unknown) => {
      throw new Error(tunnels.refusal(pod) ?? reasonOf(error), { cause: error });
    },
  );
  const longest = Math.max(block.bytes ?? MAX_MANIFEST_BYTES, minAnswerBytes);
  const bytes = answer.body === null ? Buffer.alloc(0) : await readBytes(answer.body, longest);
  if (answer.status === 200) return bytes;
  throw new Error(refusalOf(answer.status, bytes));
}

function missing(error: unknown, model: string): unknown {
  if (!(error instanceof BlockMissing)) return error;
  return failed(
    error.message,
    `Validators keep the newest few versions only, and a newer one may be out by now: murmur pull ${model}`,
  );
}

/** Why the folder cannot be written, in words. */
export function unwritable(shown: string, error: unknown): unknown {
  if (error instanceof CommandError) return error;
  return failed(
    `${shown} cannot be written: ${reasonOf(error)}.`,
    'See that the volume has room and that you may write there, or name another folder with --out. What was fetched is kept beside it.',
  );
}

function cidOf(text: string): CID {
  const cid = parseBlockCid(text);
  if (cid === undefined) throw new Error(`${text.slice(0, 128)} is no CID of a block`);
  return cid;
}
