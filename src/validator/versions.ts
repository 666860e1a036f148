import type { Logger } from 'pino';
import {
  assemble,
  buildVersion,
  type ChunkFetcher,
  type ChunkStore,
  FetchStalledError,
  FormatError,
  type Holdings,
  type Manifest,
  parseBlockCid,
} from '../chunks/index.ts';
import { ModelError, type Snapshot } from '../learning/index.ts';
import type { CharterModel, Overlay } from '../overlay/index.ts';
import {
  type Certificate,
  Certifier,
  type CertifyingMember,
  decodeCertificate,
  type EvidenceStore,
  encodeCertificate,
  type Proposal,
  type Verdict,
  VOTES_TOPIC,
  type Vote,
  verifyCertificate,
} from '../trust/index.ts';
import type { CertificateStore } from './certificates.ts';
import type { ValidatorMetrics } from './metrics.ts';
import type { ModelTask } from './model-task.ts';
import type { Problems } from './problems.ts';
import type { CertifiedVersion, Replicas } from './replicas.ts';
import {
  decodeLatest,
  decodeLatestReply,
  encodeLatest,
  encodeLatestReply,
  MAX_CERTIFICATE_BYTES,
  VERSIONS_PROTOCOL,
} from './wire.ts';

/**
 * A proposal is accepted when its loss on the shared probe is at most this much worse than our own: validators differ
 * by what they learned last, more so where each knows only some labels; garbage differs by far more.
 */
const LOSS_FACTOR = 1.5;
const LOSS_MARGIN = 0.25;

/** How long a validator that starts waits for a neighbour before it asks for the newest certified version. */
const CATCH_UP_PATIENCE_MILLISECONDS = 8_000;

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
  readonly replicas: () => Replicas;
  readonly certificates: CertificateStore;
  readonly evidence: EvidenceStore;
  /** Models of the charter, by uid. */
  readonly model: (uid: string) => CharterModel | undefined;
  readonly task: (uid: string) => ModelTask | undefined;
  readonly validators: () => readonly CertifyingMember[];
  readonly peers: () => readonly string[];
  readonly onCertified: (certificate: Certificate) => void;
  readonly problems: Problems;
  /** Milliseconds, never going back. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly wallClock: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly metrics: ValidatorMetrics;
  readonly log: Logger;
}

/** Versions of this validator's models: proposing, scoring, voting, and catching up from what the network certified. */
export class Versions {
  readonly #parts: VersionsParts;
  readonly #certifier: Certifier;
  /** Blocks of versions that are built or scored now and certified by nobody yet, by height. */
  readonly #underWay = new Map<string, ReadonlySet<string>>();
  readonly #certifiedAt = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(parts: VersionsParts) {
    this.#parts = parts;
    const { overlay, network, stakeKey, sign, validators, certificates, evidence, log } = parts;
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
      rules: (uid) => {
        const versions = parts.model(uid)?.spec.versions;
        return (
          versions && { everyAge: versions.everyAge, quorum: versions.quorum, minimumVoters: versions.minimumVoters }
        );
      },
      sign,
      publish: (bytes) => overlay.publish(VOTES_TOPIC, bytes),
      propose: (uid, height) => this.#propose(uid, height),
      score: (proposal) => this.#score(proposal),
      clock: { now: parts.clock },
      onCertified: (certificate) => this.#certified(certificate),
      onEvidence: (found) => {
        log.warn(
          { voter: found.a.vote.voter, model: found.a.vote.model, age: found.a.vote.age },
          'double vote: evidence kept',
        );
        void parts.problems
          .writing('evidence', async () => void (await evidence.add(found)))
          .catch((error: unknown) => log.error({ err: error }, 'evidence could not be kept'));
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
  }

  /** The newest certificate of a model. */
  latest(uid: string): Certificate | undefined {
    return this.#certifier.latest(uid);
  }

  /** When this validator came to know that a version is certified, unix milliseconds; 0 when that was before its start. */
  certifiedAt(version: string): number {
    return this.#certifiedAt.get(version) ?? 0;
  }

  /** Certified versions that are kept, newest of a model first. */
  kept(): readonly CertifiedVersion[] {
    return this.#parts.certificates.list().flatMap(({ version, model, age }) => {
      const cid = parseBlockCid(version);
      return cid === undefined || this.#parts.model(model) === undefined ? [] : [{ cid, model, age }];
    });
  }

  /** Blocks that no certified version names yet. */
  inUse(): ReadonlySet<string> {
    return new Set([...this.#underWay.values()].flatMap((blocks) => [...blocks]));
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

  /**
   * The newest certified version that is older than `age`, put together from its chunks; undefined where neighbours
   * know none. A validator that is alone in its network is not kept waiting.
   */
  async catchUp(model: CharterModel, age: number, signal: AbortSignal): Promise<Snapshot | undefined> {
    const { peers, validators, overlay, sleep, log, fetcher, replicas } = this.#parts;
    const others = validators().filter(({ peerId }) => peerId !== overlay.peerId).length;
    for (let waited = 0; others > 0 && peers().length === 0 && waited < CATCH_UP_PATIENCE_MILLISECONDS; waited += 200) {
      await sleep(200, signal);
    }
    const certificate = await this.#askLatest(model, signal);
    const cid = certificate && parseBlockCid(certificate.version);
    if (certificate === undefined || cid === undefined || certificate.age <= age) return undefined;
    try {
      const sources = () => replicas().sources(certificate.version, undefined);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(30_000)]);
      const { manifest } = await fetcher.fetch(cid, { chunks: 'all', sources, signal: limit });
      this.#parts.holdings.follow(cid, manifest);
      return await this.#assemble(manifest, certificate.age);
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn(
        { err: error, version: certificate.version },
        'could not catch up from the certified version; learns from neighbours instead',
      );
      return undefined;
    }
  }

  async #askLatest(model: CharterModel, signal: AbortSignal): Promise<Certificate | undefined> {
    const { overlay, peers, validators, log } = this.#parts;
    let best = this.#certifier.latest(model.uid);
    const answers = peers().map(async (peer) => {
      const reply = await overlay.request(peer, VERSIONS_PROTOCOL, encodeLatest(model.uid), {
        timeoutMs: 3_000,
        maxReplyBytes: MAX_CERTIFICATE_BYTES + 1024,
        signal,
      });
      const { certificate } = decodeLatestReply(reply);
      return certificate && decodeCertificate(certificate);
    });
    for (const answer of await Promise.allSettled(answers)) {
      if (answer.status === 'rejected') {
        log.debug({ err: answer.reason }, 'a neighbour did not tell its newest version');
        continue;
      }
      const certificate = answer.value;
      if (certificate === undefined || certificate.model !== model.uid || certificate.age <= (best?.age ?? 0)) continue;
      if (verifyCertificate(certificate, validators(), model.spec.versions).ok) best = certificate;
    }
    return best;
  }

  async #propose(uid: string, height: number): Promise<string | undefined> {
    const { store, holdings, problems, network, log } = this.#parts;
    const model = this.#parts.model(uid);
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
    this.#protect(uid, height, built.manifest, built.cid.toString());
    const written = await problems.writing('chunks', async () => {
      await store.putAll([{ cid: built.cid, bytes: built.manifestBlock }, ...built.chunks]);
    });
    if (!written) return undefined;
    holdings.follow(built.cid, built.manifest);
    log.info({ model: model.name, age: height, version: built.cid.toString() }, 'proposes a version');
    return built.cid.toString();
  }

  async #score(proposal: Proposal): Promise<Verdict> {
    const { fetcher, holdings, replicas, task, metrics, log } = this.#parts;
    const model = this.#parts.model(proposal.model);
    const learner = task(proposal.model)?.learner;
    const cid = parseBlockCid(proposal.version);
    if (model === undefined || learner === undefined) return 'later';
    const verdict = (value: Verdict): Verdict => {
      metrics.votes.inc({ model: model.name, verdict: value });
      return value;
    };
    if (cid === undefined) return verdict('reject');
    try {
      // Only the proposer is sure to have it; others are asked as they come to hold it.
      const sources = () => [{ peer: proposal.proposer }, ...replicas().sources(proposal.version, undefined)];
      const limit = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(10_000)]);
      const { manifest } = await fetcher.fetch(cid, { chunks: 'all', sources, signal: limit });
      this.#protect(proposal.model, proposal.age, manifest, proposal.version);
      if (manifest.model !== proposal.model || manifest.network !== proposal.network || manifest.age !== proposal.age) {
        return verdict('reject');
      }
      holdings.follow(cid, manifest);
      const theirs = await learner.score(await this.#assemble(manifest, manifest.age));
      const ours = await learner.score(await learner.snapshot());
      const isGood = theirs.loss <= ours.loss * LOSS_FACTOR + LOSS_MARGIN;
      if (!isGood)
        log.warn(
          { model: model.name, age: proposal.age, proposer: proposal.proposer, theirs: theirs.loss, ours: ours.loss },
          'rejects a version: its loss is too far above our own',
        );
      return verdict(isGood ? 'accept' : 'reject');
    } catch (error) {
      if (error instanceof FormatError || error instanceof ModelError) return verdict('reject');
      if (!(error instanceof FetchStalledError)) log.debug({ err: error }, 'cannot look at a proposal yet');
      return 'later';
    }
  }

  #certified(certificate: Certificate): void {
    const { certificates, problems, onCertified, log } = this.#parts;
    const model = this.#parts.model(certificate.model);
    this.#certifiedAt.set(certificate.version, this.#parts.wallClock());
    log.info(
      { model: model?.name, age: certificate.age, version: certificate.version, voters: certificate.signatures.length },
      'a version is certified',
    );
    void problems
      .writing('certificates', () => certificates.add(certificate, model?.spec.versions.keep ?? 1))
      .catch((error: unknown) => log.error({ err: error }, 'a certificate could not be kept'));
    for (const key of this.#underWay.keys()) {
      const [uid = '', age = '0'] = key.split('@');
      if (uid === certificate.model && Number(age) <= certificate.age) this.#underWay.delete(key);
    }
    onCertified(certificate);
  }

  /** Its blocks stay until the height is decided. */
  #protect(uid: string, height: number, manifest: Manifest, version: string): void {
    const key = `${uid}@${height}`;
    const blocks = [version, ...manifest.chunks.map((chunk) => chunk.toString())];
    this.#underWay.set(key, new Set([...(this.#underWay.get(key) ?? []), ...blocks]));
  }

  async #assemble(manifest: Manifest, age: number): Promise<Snapshot> {
    const tensors = await assemble(manifest, (cid) => this.#parts.store.get(cid));
    return { age, tensors };
  }
}
