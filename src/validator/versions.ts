import type { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import {
  assemble,
  buildVersion,
  type ChunkFetcher,
  type ChunkStore,
  type Holdings,
  type Manifest,
  parseBlockCid,
} from '../chunks/index.ts';
import { MalformedError } from '../codec/index.ts';
import type { Snapshot } from '../learning/index.ts';
import type { CharterModel, Overlay } from '../overlay/index.ts';
import {
  type Certificate,
  Certifier,
  type CertifyingMember,
  type EvidenceStore,
  encodeCertificate,
  encodeVotesMessage,
  type Proposal,
  type Verdict,
  VOTES_TOPIC,
  type Vote,
} from '../trust/index.ts';
import { catchUp } from './catch-up.ts';
import type { CertificateStore } from './certificates.ts';
import type { CertifiedTimes } from './certified-times.ts';
import { judge, LOOK_MILLISECONDS, type OpenedVersion } from './judge.ts';
import type { ValidatorMetrics } from './metrics.ts';
import type { ModelTask } from './model-task.ts';
import type { Problems } from './problems.ts';
import type { CertifiedVersion } from './replicas.ts';
import { UnderWay } from './under-way.ts';
import { decodeLatest, encodeLatestReply, VERSIONS_PROTOCOL } from './wire.ts';
import type { World } from './world.ts';

export interface VersionsParts {
  readonly overlay: Overlay;
  readonly network: string;
  /** Stake public key of this validator in the charter in force; empty while it is no member. */
  readonly stakeKey: () => string;
  /** Signs through the signer. */
  readonly sign: (vote: Vote) => Promise<Uint8Array>;
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  readonly fetcher: ChunkFetcher;
  readonly certificates: CertificateStore;
  readonly times: CertifiedTimes;
  readonly evidence: EvidenceStore;
  readonly task: (uid: string) => ModelTask | undefined;
  readonly validators: () => readonly CertifyingMember[];
  readonly peers: () => readonly string[];
  readonly onCertified: (certificate: Certificate) => void;
  readonly problems: Problems;
  readonly world: Pick<World, 'now' | 'monotonic' | 'sleep'>;
  readonly metrics: ValidatorMetrics;
  readonly log: Logger;
}

/** Versions of this validator's models: proposing, judging, voting, and catching up from what the network certified. */
export class Versions {
  readonly #parts: VersionsParts;
  readonly #certifier: Certifier;
  readonly #underWay = new UnderWay();
  readonly #stop = new AbortController();

  constructor(parts: VersionsParts) {
    this.#parts = parts;
    const { overlay, network, stakeKey, sign, validators, certificates, world, log } = parts;
    this.#certifier = new Certifier({
      network,
      self: {
        peerId: overlay.peerId,
        get stakeKey() {
          return stakeKey();
        },
      },
      members: validators,
      charterSeq: () => overlay.charter?.seq ?? 0,
      rules: (uid) => this.#model(uid)?.spec.versions,
      sign,
      publish: (bytes) => overlay.publish(VOTES_TOPIC, bytes),
      propose: (uid, height) => this.#propose(uid, height),
      score: (proposal) => this.#judge(proposal),
      clock: { now: world.monotonic },
      onCertified: (certificate) => this.#certified(certificate),
      onEvidence: (found) => {
        const { voter, model, age } = found.a.vote;
        log.warn({ voter, model, age }, 'double vote: evidence kept');
        this.#keep('evidence', async () => void (await parts.evidence.add(found)));
      },
      onFailure: (what, error) => log.warn({ err: error }, `could not ${what}; tries again`),
      known: certificates.list(),
    });
    overlay.subscribe(VOTES_TOPIC, (bytes, author) => {
      const outcome = this.#certifier.handle(bytes, author);
      if (outcome === 'malformed' || outcome === 'forged')
        log.warn({ peer: author, outcome }, 'a bad message on votes');
    });
    overlay.handle(VERSIONS_PROTOCOL, { maxRequestBytes: 1024, timeoutMs: 5_000 }, async (request) => {
      const certificate = this.#certifier.latest(decodeLatest(request).model);
      return encodeLatestReply(certificate && encodeCertificate(certificate));
    });
    overlay.onCharter(({ models }) => this.#underWay.keepOnly(new Set(models.map(({ uid }) => uid))));
  }

  /** The newest certificate of a model. */
  latest(uid: string): Certificate | undefined {
    return this.#certifier.latest(uid);
  }

  /** When this validator came to know that a version is certified, unix milliseconds; 0 where it is not known. */
  certifiedAt(version: string): number {
    return this.#parts.times.of(version);
  }

  /** Certified versions that are kept, newest of a model first; also of models that a newer operator wrote and that cannot be read here. */
  kept(): readonly CertifiedVersion[] {
    const { charter } = this.#parts.overlay;
    const models = new Set([...(charter?.models ?? []), ...(charter?.unreadable ?? [])].map(({ uid }) => uid));
    return this.#parts.certificates.list().flatMap(({ version, model, age }) => {
      const cid = parseBlockCid(version);
      return cid === undefined || !models.has(model) ? [] : [{ cid, model, age }];
    });
  }

  /** Blocks that no certified version names yet. */
  inUse(): ReadonlySet<string> {
    return this.#underWay.blocks();
  }

  /** A model has learned on: a version may be due. */
  advance(uid: string, age: number): void {
    this.#certifier.advance(uid, age);
  }

  /** Time has passed; call it about once a second. */
  tick(): void {
    this.#certifier.tick();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#certifier.stop();
  }

  /** The newest certified version above `age`, see catch-up.ts. */
  catchUp(model: CharterModel, age: number, signal: AbortSignal): Promise<Snapshot | undefined> {
    const { overlay, validators, peers, world, log } = this.#parts;
    const tell = (certificate: Certificate) =>
      this.#certifier.handle(encodeVotesMessage({ v: 1, kind: 'certificate', certificate }), overlay.peerId);
    return catchUp(
      model,
      age,
      {
        overlay,
        latest: (uid) => this.latest(uid),
        onNewer: (certificate) => void tell(certificate),
        validators,
        peers,
        open: async (certificate, until) => (await this.#open(certificate, [], until)).snapshot(),
        sleep: world.sleep,
        monotonic: world.monotonic,
        log,
      },
      signal,
    );
  }

  async #propose(uid: string, height: number): Promise<string | undefined> {
    const { store, holdings, problems, network, log } = this.#parts;
    const model = this.#model(uid);
    const snapshot = await this.#parts.task(uid)?.learner?.snapshot();
    if (model === undefined || snapshot === undefined) return undefined;
    const parent = parseBlockCid(this.latest(uid)?.version ?? '');
    const built = buildVersion({
      model: uid,
      network,
      age: height,
      tensors: snapshot.tensors,
      chunkBytes: model.spec.shards.chunkBytes,
      ...(parent === undefined ? {} : { parent }),
    });
    this.#underWay.protect(uid, height, blocksOf(built.cid, built.manifest));
    const written = await problems.writing('proposal', async () => {
      await store.putAll([{ cid: built.cid, bytes: built.manifestBlock }, ...built.chunks]);
    });
    if (!written) return undefined;
    holdings.follow(built.cid, built.manifest);
    log.info({ model: model.name, age: height, version: built.cid.toString() }, 'proposes a version');
    return built.cid.toString();
  }

  async #judge(proposal: Proposal): Promise<Verdict> {
    const { problems, task, metrics, log } = this.#parts;
    const model = this.#model(proposal.model);
    const verdict = await judge(proposal, {
      model: () => model,
      learner: (uid) => task(uid)?.learner,
      open: async () => {
        let opened: OpenedVersion | undefined;
        const limit = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LOOK_MILLISECONDS)]);
        await problems.writing('proposal', async () => {
          // Only the proposer is sure to have it; others are asked as they come to hold it.
          opened = await this.#open(proposal, [proposal.proposer], limit);
        });
        return opened;
      },
      log,
    });
    if (model !== undefined && verdict !== 'later') metrics.votes.inc({ model: model.name, verdict });
    return verdict;
  }

  /** Gets all of a version here. Its blocks stay from the first one on, until its height is decided. @throws MalformedError, FetchStalledError, VolumeFullError */
  async #open(
    { model, age, version }: Pick<Proposal, 'model' | 'age' | 'version'>,
    first: readonly string[],
    signal: AbortSignal,
  ): Promise<OpenedVersion> {
    const { fetcher, store, peers } = this.#parts;
    const cid = cidOfVersion(version);
    const sources = () => [...first, ...peers()];
    this.#underWay.protect(model, age, [version]);
    const manifest = await fetcher.manifest(cid, { sources, signal });
    this.#underWay.protect(model, age, blocksOf(cid, manifest));
    if (manifest.model === model) await fetcher.fetch(cid, { chunks: 'all', sources, signal });
    const snapshot = async () => ({ age, tensors: await assemble(manifest, (chunk) => store.get(chunk)) });
    return { manifest, snapshot };
  }

  #certified(certificate: Certificate): void {
    const { certificates, times, onCertified, world, log } = this.#parts;
    const { model: uid, age, version, signatures } = certificate;
    const model = this.#model(uid);
    times.saw(version, world.now());
    log.info({ model: model?.name, age, version, voters: signatures.length }, 'a version is certified');
    this.#keep('certificates', async () => {
      await certificates.add(certificate, model?.spec.versions.keep ?? 1);
      await times.keepOnly(new Set(certificates.list().map((kept) => kept.version)));
    });
    this.#underWay.decided(uid, age);
    onCertified(certificate);
  }

  /** Writes on the side: nobody waits for it, and people hear when it fails. */
  #keep(what: 'evidence' | 'certificates', write: () => Promise<void>): void {
    const { problems, log } = this.#parts;
    void problems
      .writing(what, write)
      .catch((error: unknown) => log.error({ err: error }, `${what} could not be kept`));
  }

  #model(uid: string): CharterModel | undefined {
    return this.#parts.overlay.charter?.models.find((model) => model.uid === uid);
  }
}

const blocksOf = (cid: CID, manifest: Manifest): readonly string[] => [cid, ...manifest.chunks].map(String);

function cidOfVersion(version: string): CID {
  const cid = parseBlockCid(version);
  if (cid === undefined)
    throw new MalformedError(`version ${version.slice(0, 128)}`, 'its name is not that of a block');
  return cid;
}
