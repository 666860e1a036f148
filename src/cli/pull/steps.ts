/** The steps of `murmur pull`: what is trusted, what is certified, the bytes, the folder. Each waits for the one before. */
import type { CID } from 'multiformats/cid';
import { shortCid } from '../../api/index.ts';
import { chunkLength, decodeManifest, MAX_MANIFEST_BYTES, type Manifest, parseBlockCid } from '../../chunks/index.ts';
import { MalformedError } from '../../codec/index.ts';
import type { CharterModel } from '../../overlay/index.ts';
import type { Connection } from '../cluster/connection.ts';
import { CommandError, failed, misused, reasonOf } from '../errors.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { exchange, refusalOf } from '../pod/exchange.ts';
import { chooseModel, runningFor } from '../predict/choose.ts';
import { bar } from '../render/bar.ts';
import { duration } from '../render/duration.ts';
import { bytes as bytesText, count, plural } from '../render/numbers.ts';
import type { Report, Step } from '../up/progress.ts';
import { BlockMissing, fetchBlocks, type WantedBlock } from './blocks.ts';
import { signedText } from './certificate.ts';
import { type Certified, findCertified } from './certified.ts';
import { missingIn, type Present, PulledFolder, Shards } from './folder.ts';
import { modelFiles } from './model-files.ts';
import { readTrusted, type Trusted } from './trusted.ts';

const second = 1000;
const rawBlock = 'application/vnd.ipld.raw';
const blockDeadline = 30 * second;
/** A refusal may be longer than a short block. */
const minAnswerBytes = 4096;
const barWidth = 20;

/** What to pull, and where to. */
export interface PullSetting {
  readonly model: string;
  /** CID of the version; undefined for the newest. */
  readonly version: string | undefined;
  /** Peer id of the authority, where a person gave it. */
  readonly authority: string | undefined;
  /** The folder, as a path and as it is shown. */
  readonly out: string;
  readonly shown: string;
  readonly present: Present;
  /** Release of this program. */
  readonly release: string;
}

/** What was pulled; `-o json` prints it. */
export interface Pulled {
  readonly namespace: string;
  readonly network: string;
  readonly model: string;
  readonly folder: string;
  readonly version: {
    readonly cid: string;
    readonly short: string;
    readonly updates: number;
    readonly bytes: number;
    readonly chunks: number;
  };
  /** Names of the validators that signed. */
  readonly signedBy: readonly string[];
  readonly checkedAgainst: { readonly authority: string; readonly authorityFrom: string; readonly charterSeq: number };
  /** How input is scaled, says the charter; or so many of so many validators that were asked, unsigned. */
  readonly input: { readonly from: 'charter' | 'validators'; readonly agreed: number; readonly asked: number };
  /** Chunks that were fetched, by the pod that gave them. */
  readonly fetched: Readonly<Record<string, number>>;
  /** Chunks that were here already. */
  readonly alreadyHere: number;
}

interface Chosen extends Trusted {
  readonly model: CharterModel;
  /** Pods by the names of their ValidatorNodes, ready ones first. */
  readonly pods: ReadonlyMap<string, string>;
}

interface Known extends Certified {
  readonly manifest: Manifest;
  readonly manifestBlock: Uint8Array;
}

interface Bytes {
  /** Undefined where the version was in its place already. */
  readonly folder: PulledFolder | undefined;
  readonly fetched: ReadonlyMap<string, number>;
  readonly alreadyHere: number;
}

/** The steps, and what they come to. `version` is known once a certificate was found. */
export function pullSteps(
  setting: PullSetting,
  connection: Connection,
  io: Io,
  signal: AbortSignal,
): {
  readonly steps: readonly Step[];
  readonly outcome: () => Promise<Pulled>;
  readonly version: () => string | undefined;
} {
  const { model: name, shown } = setting;
  const { namespace } = connection;
  let version: string | undefined;
  const chosen = once(() => choose(setting, connection, signal));
  const known = once(async () => {
    const from = await chosen();
    const now = Math.floor(io.now() / second);
    const found = await findCertified({ ...connection, ...from, version: setting.version, now, signal });
    version = found.certificate.version;
    return { ...found, ...(await readManifest(found, from, connection, io, signal)) };
  });
  const bytes = Promise.withResolvers<Bytes>();
  bytes.promise.catch(() => undefined); // The failure is told by its step.
  const outcome = once(async (): Promise<Pulled> => {
    const [{ charter, authority, model }, { certificate, signers, input, manifest, manifestBlock }, got] =
      await Promise.all([chosen(), known(), bytes.promise]);
    const { version: cid, age } = certificate;
    const about = { namespace, model, version: cid, manifest, manifestBlock, certificate, signers, input, authority };
    const files = () =>
      modelFiles(
        { ...about, charterSeq: charter.seq, release: setting.release, now: io.now() },
        new Shards(manifest).names,
      );
    await got.folder?.finish(files()).catch((error: unknown) => {
      throw unwritable(setting, error);
    });
    return {
      namespace,
      network: model.spec.network,
      model: name,
      folder: setting.out,
      version: {
        cid,
        short: shortCid(cid),
        updates: age,
        bytes: manifest.bytes,
        chunks: manifest.chunks.length,
      },
      signedBy: signers.filter(({ signed }) => signed).map((signer) => signer.name),
      checkedAgainst: { authority: authority.peerId, authorityFrom: authority.from, charterSeq: charter.seq },
      input: { from: input.from, agreed: input.agreed, asked: input.asked },
      fetched: Object.fromEntries([...got.fetched].sort()),
      alreadyHere: got.alreadyHere,
    };
  });
  const steps: readonly Step[] = [
    {
      name: 'charter',
      run: async () => {
        const { charter, authority } = await chosen();
        return `number ${charter.seq}, signed by ${shortPeer(authority.peerId)} (${authority.from})`;
      },
    },
    {
      name: 'signatures',
      run: async (report) => {
        const { model } = await chosen();
        report.begin();
        const { certificate, signers } = await known();
        const { quorum } = model.spec.versions;
        return `${shortCid(certificate.version)} at ${plural(certificate.age, 'update')}: ${signedText(signers, quorum)}`;
      },
    },
    {
      name: 'chunks',
      run: async (report) => {
        try {
          const what = await known();
          report.begin();
          const got = await fetchChunks(setting, what, connection, io, signal, report);
          bytes.resolve(got);
          return chunksText(what.manifest, got);
        } catch (error) {
          bytes.reject(error);
          throw error;
        }
      },
    },
    {
      name: 'folder',
      run: async (report) => {
        const { folder } = await bytes.promise;
        report.begin();
        await outcome();
        return folder === undefined ? `${shown}, unchanged` : `${shown}, checked and complete`;
      },
    },
  ];
  return { steps, outcome, version: () => version };
}

async function choose(setting: PullSetting, connection: Connection, signal: AbortSignal): Promise<Chosen> {
  const { client, namespace } = connection;
  const listed = await listFleets(client, namespace, signal);
  const chosen = chooseModel(listed, setting.model, namespace);
  const running = runningFor(chosen, listed, namespace);
  const pod = running[0]?.pod ?? '';
  const { network } = chosen.spec;
  const trusted = await readTrusted({ client, namespace, network, pod, authority: setting.authority, signal });
  const model = trusted.charter.models.find(({ uid }) => uid === chosen.metadata.uid);
  if (model === undefined) {
    throw failed(
      `The charter of network ${network} (number ${trusted.charter.seq}) does not name model ${setting.model}.`,
      'The operator adds a new model within seconds: try again, or see its log.',
    );
  }
  return { ...trusted, model, pods: new Map(running.map((one) => [one.node, one.pod])) };
}

/** The manifest that the certificate names. */
async function readManifest(
  { certificate, sources }: Certified,
  { model, charter }: Chosen,
  connection: Connection,
  io: Io,
  signal: AbortSignal,
): Promise<Pick<Known, 'manifest' | 'manifestBlock'>> {
  const { version, age } = certificate;
  let manifestBlock = new Uint8Array();
  await fetchBlocks([{ cid: cidOf(version) }], sources, {
    ask: asker(connection),
    onBlock: async (_, block) => {
      manifestBlock = new Uint8Array(block);
    },
    wait: io.wait,
    signal,
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

async function fetchChunks(
  setting: PullSetting,
  { manifest, certificate, sources }: Known,
  connection: Connection,
  io: Io,
  signal: AbortSignal,
  report: Report,
): Promise<Bytes> {
  const { version } = certificate;
  const { out, shown, present } = setting;
  if (present.is === 'pulled') {
    if (present.version !== version) {
      throw misused(
        `${shown} holds version ${shortCid(present.version)}, and ${shortCid(version)} is to be pulled.`,
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
    return { folder: undefined, fetched: new Map(), alreadyHere: manifest.chunks.length };
  }
  const folder = await PulledFolder.open(out, version, manifest).catch((error: unknown) => {
    throw unwritable(setting, error);
  });
  const places = Map.groupBy(folder.missing, (chunk) => String(manifest.chunks[chunk]));
  const wanted = [...places].map(([cid, [chunk = 0]]) => ({
    cid: cidOf(cid),
    bytes: chunkLength(manifest, chunk),
    index: chunk,
  }));
  const fetched = new Map<string, number>();
  const progress = new Progress(manifest, folder.missing.length, io.now);
  await fetchBlocks(wanted, sources, {
    ask: asker(connection),
    onBlock: async ({ cid }, bytes, source) => {
      for (const chunk of places.get(cid.toString()) ?? []) {
        await folder.write(chunk, bytes).catch((error: unknown) => {
          throw unwritable(setting, error);
        });
        progress.add(bytes.byteLength);
      }
      fetched.set(source, (fetched.get(source) ?? 0) + 1);
      report.say(progress.text());
    },
    wait: io.wait,
    signal,
  }).catch((error: unknown) => {
    throw missing(error, setting.model);
  });
  return { folder, fetched, alreadyHere: manifest.chunks.length - folder.missing.length };
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

const asker =
  ({ transport, namespace }: Connection) =>
  async (pod: string, block: WantedBlock, signal: AbortSignal): Promise<Uint8Array> => {
    const { status, bytes } = await exchange(
      { transport, namespace, pod },
      {
        path: `/ipfs/${block.cid}?format=raw`,
        accept: rawBlock,
        maxBytes: Math.max(block.bytes ?? MAX_MANIFEST_BYTES, minAnswerBytes),
        deadline: blockDeadline,
        signal,
      },
    );
    if (status === 200) return bytes;
    throw new Error(refusalOf(status, bytes));
  };

function chunksText({ chunks, bytes }: Manifest, { fetched, alreadyHere }: Bytes): string {
  const here = alreadyHere === 0 ? '' : `, ${count(alreadyHere)} of them were here`;
  const from = fetched.size === 0 ? '' : `, from ${plural(fetched.size, 'validator')}`;
  return `${plural(chunks.length, 'chunk')}, ${bytesText(bytes)}${here}${from}`;
}

function missing(error: unknown, model: string): unknown {
  if (!(error instanceof BlockMissing)) return error;
  return failed(
    error.message,
    `Validators keep the newest few versions only, and a newer one may be out by now: murmur pull ${model}`,
  );
}

function unwritable({ shown }: PullSetting, error: unknown): unknown {
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

/** `12D3KooW…a1b2c3`. */
const shortPeer = (peerId: string): string =>
  peerId.length <= 16 ? peerId : `${peerId.slice(0, 8)}…${peerId.slice(-6)}`;

/** Does something when it is first asked for, and gives everybody what came of it. */
function once<T>(act: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= act();
    return done;
  };
}
