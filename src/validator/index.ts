// The validator pod's composition root: wires overlay, chunks, learning and trust into one peer that learns, votes,
// holds chunks and answers over HTTP. It decides nothing that a room below could decide.
// The command line imports it; nobody else does.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fetch } from 'undici';
import {
  CHUNKS_PROTOCOL,
  ChallengeResponder,
  ChunkFetcher,
  ChunkServer,
  ChunkStore,
  FormatError,
  Holdings,
  MAX_REQUEST_BYTES,
} from '../chunks/index.ts';
import { type BackendName, CheckpointStore, createLearner, loadData } from '../learning/index.ts';
import {
  type CharterModel,
  createOverlay,
  decodeReport,
  decodeSignedCharter,
  encodeReport,
  fileCharterStore,
  MalformedMessageError,
  type Overlay,
  Refusal,
} from '../overlay/index.ts';
import { EvidenceStore, ReputationBook, SignerClient } from '../trust/index.ts';
import { CertificateStore } from './certificates.ts';
import { followFile } from './charter-file.ts';
import { createHttp } from './http.ts';
import { createValidatorMetrics } from './metrics.ts';
import { type LoadedData, ModelTask } from './model-task.ts';
import { ModelTasks } from './model-tasks.ts';
import { Neighbours } from './neighbours.ts';
import type { ValidatorOptions } from './options.ts';
import { Problems } from './problems.ts';
import { Replicas } from './replicas.ts';
import { composeReport } from './report.ts';
import { slotOf, validatorsOf } from './roster.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { describe } from './status.ts';
import { CHALLENGE_PROTOCOL, challengeSomebody } from './storage-challenges.ts';
import { Versions } from './versions.ts';
import { decodeLearn, encodeLearn, encodeLearned, LEARN_PROTOCOL, MAX_LEARN_BYTES } from './wire.ts';

export type { ValidatorOptions } from './options.ts';

const second = 1000;
const CHARTER_FILE_MILLISECONDS = 2 * second;
const REPORT_MILLISECONDS = 2 * second;
const REPLICAS_MILLISECONDS = 1 * second;
const CHALLENGE_MILLISECONDS = 5 * second;
const REPUTATION_MILLISECONDS = 30 * second;

/** A validator that runs. */
export interface RunningValidator {
  readonly peerId: string;
  /** Base URL of its HTTP server. */
  readonly url: string;
  /** Multiaddrs that it listens on. */
  readonly addresses: readonly string[];
  /** Settles when it has stopped and everything worth keeping is on disk. */
  readonly stopped: Promise<void>;
}

/** Starts a validator; it runs until `options.signal` is aborted. @throws when it cannot start: key, disk or port */
export async function startValidator(options: ValidatorOptions): Promise<RunningValidator> {
  const { log, signal, stateDir } = options;
  const dataDir = options.dataDir ?? fileURLToPath(new URL('../../data', import.meta.url));
  const clock = Date.now;
  const monotonic = { now: () => performance.now() };
  const pause = (milliseconds: number, until: AbortSignal) => sleep(milliseconds, undefined, { signal: until });

  await mkdir(stateDir, { recursive: true });
  const metrics = createValidatorMetrics();
  const problems = new Problems();
  const neighbours = new Neighbours(monotonic.now);
  const reputation = await openReputation(path.join(stateDir, 'reputation.json'), monotonic, log);
  const store = await ChunkStore.open(path.join(stateDir, 'chunks'));
  const signer = new SignerClient({ socket: options.signer });
  const certificates = await CertificateStore.open(path.join(stateDir, 'certificates'), (file, error) =>
    log.warn({ file, err: error }, 'a certificate cannot be read and is left out'),
  );
  const evidence = await EvidenceStore.open(path.join(stateDir, 'evidence'));

  const overlay: Overlay = createOverlay({
    network: options.network,
    identity: await readFile(options.identity),
    authority: options.authority,
    listen: [options.listen],
    charters: fileCharterStore(path.join(stateDir, 'charter.bin')),
    log: log.child({ room: 'overlay' }),
  });
  const validators = () => validatorsOf(overlay.charter, clock() / second);
  const others = () => new Set(validators().flatMap(({ peerId }) => (peerId === overlay.peerId ? [] : [peerId])));
  const peers = () => {
    const members = others();
    return overlay.peers().filter((peer) => members.has(peer));
  };

  let report: () => void = () => undefined;
  const holdings = new Holdings(store, { onChange: () => report() });
  const fetcher = new ChunkFetcher({
    store,
    network: overlay,
    stallMs: 10 * second,
    onOutcome: (peer, outcome) => reputation.interaction(peer, outcome),
    onMisbehaviour: (peer, why, detail) => log.warn({ peer, why, detail }, 'a peer sent wrong bytes and is avoided'),
  });
  const replicas: Replicas = new Replicas({
    self: overlay.peerId,
    store,
    holdings,
    fetcher,
    neighbours,
    charter: () => overlay.charter,
    peers,
    kept: () => versions.kept(),
    inUse: () => versions.inUse(),
    problems,
    log,
  });
  const tasks: ModelTasks = new ModelTasks(
    (model, slot) =>
      new ModelTask(model, slot, {
        loadData: (which, until) => dataOf(which, options, dataDir, until),
        backend: backendOf(options.env?.MURMURATION_BACKEND),
        createLearner,
        checkpoints: ({ uid }) => new CheckpointStore(path.join(stateDir, 'models', path.basename(uid))),
        catchUp: (which, age, until) => versions.catchUp(which, age, until),
        neighbours: peers,
        send: async (peer, { uid }, frame, until) => {
          const timeoutMs = 10 * second;
          await overlay.request(peer, LEARN_PROTOCOL, encodeLearn(uid, frame), {
            timeoutMs,
            maxReplyBytes: 256,
            signal: until,
          });
        },
        judged: (peer, before, after) => reputation.mergeEffect(peer, before, after),
        aged: ({ model: { uid }, progress }) => versions.advance(uid, progress.age),
        random: Math.random,
        sleep: pause,
        metrics,
        problems,
        log,
      }),
    log,
  );
  const versions: Versions = new Versions({
    overlay,
    network: options.network,
    stakeKey: () => validators().find(({ peerId }) => peerId === overlay.peerId)?.stakeKey ?? '',
    sign: (vote) => signer.sign(vote),
    store,
    holdings,
    fetcher,
    replicas: () => replicas,
    certificates,
    evidence,
    model: (uid) => overlay.charter?.models.find((model) => model.uid === uid),
    task: (uid) => tasks.get(uid),
    validators,
    peers,
    onCertified: ({ version }) => {
      report();
      void overlay.provide(version).catch((error: unknown) => log.debug({ err: error }, 'could not provide a version'));
    },
    problems,
    clock: monotonic.now,
    wallClock: clock,
    sleep: pause,
    metrics,
    log,
  });

  const server = new ChunkServer({ store, holdings });
  const responder = new ChallengeResponder(store, overlay.peerId);
  overlay.handle(CHUNKS_PROTOCOL, { maxRequestBytes: MAX_REQUEST_BYTES, timeoutMs: 10 * second }, (request, from) =>
    refusingNonsense(() => server.answer(request, from)),
  );
  overlay.handle(
    CHALLENGE_PROTOCOL,
    { maxRequestBytes: 256, timeoutMs: 5 * second, maxConcurrentPerPeer: 2 },
    (request) => refusingNonsense(() => responder.answer(request)),
  );
  overlay.handle(
    LEARN_PROTOCOL,
    { maxRequestBytes: MAX_LEARN_BYTES, timeoutMs: 30 * second, maxConcurrentPerPeer: 1 },
    (request, from) =>
      refusingNonsense(async () => {
        const { model, frame } = decodeLearn(request);
        const task = tasks.get(model);
        if (task?.learner === undefined) throw new Refusal('not-here', 'this model is not learned here (yet)');
        if (!others().has(from)) throw new Refusal('not-allowed', 'only validators send models');
        if (frame.byteLength > task.learner.maxMessageBytes) {
          throw new Refusal('malformed', `no model of this kind has ${frame.byteLength} bytes`);
        }
        task.receive(from, frame);
        return encodeLearned(task.progress.age);
      }),
  );
  overlay.onInteraction((peer, event) => reputation.interaction(peer, event));
  overlay.onCharter((charter) => {
    const members = validators();
    neighbours.keepOnly(new Set(members.map(({ peerId }) => peerId)));
    metrics.charterSeq.set(charter.seq);
    const isMember = members.some(({ peerId }) => peerId === overlay.peerId);
    void tasks.follow(isMember ? charter.models : [], slotOf(members, overlay.peerId));
  });
  overlay.subscribe('reports', (bytes, from) => {
    try {
      neighbours.hear(from, decodeReport(bytes));
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      reputation.interaction(from, 'malformed');
    }
  });

  const reportParts = {
    node: options.name,
    stateDir,
    charterSeq: () => overlay.charter?.seq ?? 0,
    peers,
    tasks: () => tasks.list(),
    latest: (uid: string) => versions.latest(uid),
    certifiedAt: (version: string) => versions.certifiedAt(version),
    holdings,
    usedBytes: () => store.usedBytes,
    reputation,
    members: others,
    problems,
    clock,
  };
  const http = createHttp({
    metrics: metrics.registry,
    refresh: () => refreshMetrics(),
    notReady: () => (overlay.charter === undefined ? 'no charter yet: waits for the operator' : undefined),
    status: () => describe(options.name, overlay, reportParts, replicas),
    model: (name) => {
      const task = tasks.list().find(({ model }) => model.name === name);
      return task && served(task);
    },
  });

  function refreshMetrics(): void {
    metrics.peers.set(peers().length);
    metrics.storedBytes.set(store.usedBytes);
    const { assigned, held } = replicas.standing();
    metrics.chunks.set({ state: 'assigned' }, assigned);
    metrics.chunks.set({ state: 'held' }, held);
    for (const { model, progress } of tasks.list()) {
      const label = { model: model.name };
      metrics.updates.set(label, progress.age);
      if (progress.loss !== undefined) metrics.loss.set(label, progress.loss);
      if (progress.accuracy !== undefined) metrics.accuracy.set(label, progress.accuracy);
      if (progress.divergence !== undefined) metrics.divergence.set(label, progress.divergence);
      metrics.certifiedUpdates.set(label, versions.latest(model.uid)?.age ?? 0);
    }
    metrics.reputation.reset();
    for (const { peerId, name } of validators()) {
      if (peerId === overlay.peerId) continue;
      for (const [part, value] of Object.entries(reputation.of(peerId)))
        metrics.reputation.set({ peer: name, part }, value);
    }
    metrics.problems.reset();
    for (const { reason } of problems.list()) metrics.problems.inc({ reason });
  }

  const ending = new AbortController();
  const running = AbortSignal.any([signal, ending.signal]);
  const again = (milliseconds: number, what: string, act: () => Promise<void> | void): Promise<void> =>
    repeat(milliseconds, running, pause, act, (error) => log.error({ err: error }, `could not ${what}; tries again`));

  const colon = options.http.lastIndexOf(':');
  await overlay.start();
  const url = await http.listen({ host: options.http.slice(0, colon), port: Number(options.http.slice(colon + 1)) });
  log.info({ peerId: overlay.peerId, network: options.network, addresses: overlay.addresses, url }, 'validator runs');

  // A report goes out every two seconds, and at once when a version or a chunk came.
  let wake = new AbortController();
  report = () => wake.abort();
  const reporting = (async () => {
    while (!running.aborted) {
      await pause(REPORT_MILLISECONDS, AbortSignal.any([running, wake.signal])).catch(() => undefined);
      if (wake.signal.aborted) await pause(100, running).catch(() => undefined); // what comes together is told together
      wake = new AbortController();
      if (running.aborted) return;
      try {
        await overlay.publish('reports', encodeReport(await composeReport(reportParts)));
      } catch (error) {
        log.warn({ err: error }, 'could not report');
      }
    }
  })();

  const loops = [
    reporting,
    followFile(
      options.charter,
      {
        everyMilliseconds: CHARTER_FILE_MILLISECONDS,
        sleep: pause,
        onBytes: async (bytes) => void (await overlay.adopt(decodeSignedCharter(bytes))),
        onError: (error) => log.error({ err: error }, 'the mounted charter cannot be used'),
      },
      running,
    ),
    again(second, 'look after versions', () => versions.tick()),
    again(REPLICAS_MILLISECONDS, 'hold what is placed here', () => replicas.sync(running)),
    again(CHALLENGE_MILLISECONDS, 'challenge a neighbour', () =>
      challengeSomebody(
        { overlay, store, holdings, neighbours, peers, reputation, random: Math.random, nonce: randomBytes },
        running,
      ),
    ),
    again(REPUTATION_MILLISECONDS, 'save reputation', () => saveReputation()),
  ];

  async function saveReputation(): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(reputation));
    await problems.writing('reputation', () => writeStateFile(path.join(stateDir, 'reputation.json'), bytes));
  }

  async function stop(): Promise<void> {
    log.info('stopping');
    ending.abort();
    await tasks.stop();
    await versions.stop();
    await Promise.allSettled(loops);
    await saveReputation().catch((error: unknown) => log.warn({ err: error }, 'reputation could not be saved'));
    await http.close();
    await overlay.stop();
    holdings.close();
    await store.close();
    await signer.close();
    log.info('stopped');
  }
  const stopped = new Promise<void>((resolve, reject) => {
    const act = () => void stop().then(resolve, reject);
    if (signal.aborted) act();
    else signal.addEventListener('abort', act, { once: true });
  });
  return { peerId: overlay.peerId, url, addresses: overlay.addresses, stopped };
}

function served(task: ModelTask) {
  const { learner } = task;
  const { problem, age } = task.progress;
  const loading = problem === undefined ? 'the model is being loaded; try again in a few seconds' : problem.message;
  return {
    name: task.model.name,
    age,
    ...(learner === undefined ? { unavailable: loading } : {}),
    predict: async (instances: readonly (readonly number[])[]) => (await learner?.predict(instances)) ?? [],
  };
}

/** Volumes are mounted as `<mounts>/configmap/<name>` and `<mounts>/claim/<name>`. */
async function dataOf(
  { spec }: CharterModel,
  { mounts, ownData: ownFile }: Pick<ValidatorOptions, 'mounts' | 'ownData'>,
  dataDir: string,
  signal: AbortSignal,
): Promise<LoadedData> {
  const { configMap, claim } = spec.data.source;
  const data = await loadData(spec.data, {
    dataDir,
    mounts: {
      ...(configMap === undefined ? {} : { configMap: path.join(mounts, 'configmap', configMap.name) }),
      ...(claim === undefined ? {} : { claim: path.join(mounts, 'claim', claim.claimName) }),
    },
    fetch,
    signal,
  });
  if (spec.data.partition !== 'own' || ownFile === undefined) return { data };
  const source = { claim: { claimName: 'in spec.data of the ValidatorNode', path: path.basename(ownFile) } };
  const mounted = { claim: path.dirname(ownFile) };
  const ownData = await loadData(
    { ...spec.data, source, sha256: undefined },
    { dataDir, mounts: mounted, fetch, signal },
  );
  return { data, ownData };
}

/** @throws RangeError for a name that is no backend */
function backendOf(name: string | undefined): BackendName | undefined {
  if (name === undefined || name === '') return undefined;
  const known = BACKENDS.find((backend) => backend === name);
  if (known === undefined) throw new RangeError(`MURMURATION_BACKEND is "${name}"; it can be ${BACKENDS.join(', ')}`);
  return known;
}

const BACKENDS: readonly BackendName[] = ['tensorflow-gpu', 'tensorflow', 'wasm', 'cpu'];

async function repeat(
  milliseconds: number,
  signal: AbortSignal,
  pause: (milliseconds: number, signal: AbortSignal) => Promise<unknown>,
  act: () => Promise<void> | void,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await pause(milliseconds, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await act();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
  }
}

/** Bytes of another form are the asker's fault: it is told so, and the overlay counts it. */
async function refusingNonsense(answer: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof FormatError || error instanceof MalformedMessageError)
      throw new Refusal('malformed', error.message);
    throw error;
  }
}

async function openReputation(
  file: string,
  clock: { now(): number },
  log: ValidatorOptions['log'],
): Promise<ReputationBook> {
  const bytes = await readStateFile(file);
  if (bytes === undefined) return new ReputationBook(clock);
  try {
    return ReputationBook.fromJSON(JSON.parse(Buffer.from(bytes).toString()), clock);
  } catch (error) {
    log.warn({ err: error, file }, 'reputation cannot be read; starts with an empty book');
    return new ReputationBook(clock);
  }
}
