/** The steps of `murmur pull`: what is trusted, what is certified, the bytes, the folder. Each waits for the one before. */
import { shortCid } from '../../api/index.ts';
import type { Manifest } from '../../chunks/index.ts';
import type { CharterModel } from '../../overlay/index.ts';
import type { Connection } from '../cluster/connection.ts';
import { failed } from '../errors.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { chooseModel, runningFor } from '../predict/choose.ts';
import { bytes as bytesText, count, plural } from '../render/numbers.ts';
import type { Step } from '../up/progress.ts';
import { signedText } from './certificate.ts';
import { type Certified, findCertified } from './certified.ts';
import { type Bytes, fetchChunks, type Known, readManifest, type Target, unwritable } from './fetch.ts';
import { Shards } from './folder.ts';
import { modelFiles } from './model-files.ts';
import { readTrusted, type Trusted } from './trusted.ts';

const second = 1000;

/** What to pull, where to, and by whose word. */
export interface PullSetting extends Target {
  /** CID of the version; undefined for the newest. */
  readonly version: string | undefined;
  /** Peer id of the authority, where a person gave it. */
  readonly authority: string | undefined;
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
  const { shown } = setting;
  const around = { connection, io, signal };
  let version: string | undefined;
  const chosen = once(() => choose(setting, connection, signal));
  const known = once(async () => {
    const from = await chosen();
    const now = Math.floor(io.now() / second);
    const found = await findCertified({ ...connection, ...from, version: setting.version, now, signal });
    version = found.certificate.version;
    return { ...found, ...(await readManifest(found, from, around)) };
  });
  const bytes = Promise.withResolvers<Bytes>();
  bytes.promise.catch(() => undefined); // The failure is told by its step.
  const outcome = once(async () => {
    const all = { ...(await chosen()), ...(await known()), ...(await bytes.promise) };
    return finish(setting, connection.namespace, all, io.now());
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
          const got = await fetchChunks(setting, what, around, report.say);
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

/** Adds the files around the weights and gives the folder its name. @throws CommandError */
async function finish(
  setting: PullSetting,
  namespace: string,
  all: Chosen & Certified & Known & Bytes,
  now: number,
): Promise<Pulled> {
  const { charter, authority, model, certificate, signers, input, manifest, folder } = all;
  const { version, age } = certificate;
  if (folder !== undefined) {
    const about = { ...all, namespace, version, charterSeq: charter.seq, release: setting.release, now };
    await folder.finish(modelFiles(about, new Shards(manifest).names)).catch((error: unknown) => {
      throw unwritable(setting.shown, error);
    });
  }
  return {
    namespace,
    network: model.spec.network,
    model: setting.model,
    folder: setting.out,
    version: {
      cid: version,
      short: shortCid(version),
      updates: age,
      bytes: manifest.bytes,
      chunks: manifest.chunks.length,
    },
    signedBy: signers.filter(({ signed }) => signed).map(({ name }) => name),
    checkedAgainst: { authority: authority.peerId, authorityFrom: authority.from, charterSeq: charter.seq },
    input: { from: input.from, agreed: input.agreed, asked: input.asked },
    fetched: Object.fromEntries([...all.fetched].sort()),
    alreadyHere: all.alreadyHere,
  };
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

function chunksText({ chunks, bytes }: Manifest, { fetched, alreadyHere }: Bytes): string {
  const here = alreadyHere === 0 ? '' : `, ${count(alreadyHere)} of them were here`;
  const from = fetched.size === 0 ? '' : `, from ${plural(fetched.size, 'validator')}`;
  return `${plural(chunks.length, 'chunk')}, ${bytesText(bytes)}${here}${from}`;
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
