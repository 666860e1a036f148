import {
  CHUNKS_PROTOCOL,
  ChallengeResponder,
  ChunkFetcher,
  Holdings,
  MAX_CHUNKS_FRAME_BYTES,
  realClock,
  Swarm,
} from '../chunks/index.ts';
import { createOverlay } from '../overlay/index.ts';
import { SignerClient } from '../trust/index.ts';
import { backendOf } from './backend-choice.ts';
import { Catalog } from './catalog.ts';
import { Curves } from './curves.ts';
import { createGateway } from './gateway.ts';
import { createHttp } from './http.ts';
import { learnModels } from './learn-models.ts';
import { runLoops } from './loops.ts';
import { Market } from './market.ts';
import { createValidatorMetrics } from './metrics.ts';
import { refreshMetrics } from './metrics-refresh.ts';
import type { ModelTasks } from './model-tasks.ts';
import { Neighbours } from './neighbours.ts';
import type { ValidatorOptions } from './options.ts';
import { Problems } from './problems.ts';
import { serveProtocols } from './protocols.ts';
import { Replicas } from './replicas.ts';
import { composeReport, type ReportParts } from './report.ts';
import { encodeFitting } from './report-size.ts';
import { Reporter, tellOfChunks } from './reporter.ts';
import { saveReputation } from './reputation-file.ts';
import { Rest } from './rest.ts';
import { Roster, slotOf } from './roster.ts';
import { served } from './served-model.ts';
import { step } from './start-error.ts';
import { openState } from './state.ts';
import { describe } from './status.ts';
import { openUserRows, UserDesk } from './users/index.ts';
import { Versions } from './versions.ts';
import type { World } from './world.ts';

const second = 1000;
const mib = 1024 * 1024;

/** Limits of what one peer may send over its channel of chunks, and have waiting here to be sent. */
const CHANNEL = { frameTimeoutMs: 60 * second, maxFramesPerSecond: 20_000, maxBufferedBytes: 2 * mib };

/** Where a validator that runs can be reached. */
export interface Reach {
  readonly peerId: string;
  readonly url: string;
  readonly blocksUrl: string;
  readonly addresses: readonly string[];
}

/**
 * Wires one validator and starts it. How it is stopped is left in `opened`, which closes in the reverse order: first
 * learning, then what watches, then the network, then the disk.
 * @throws StartError
 */
export async function assemble(options: ValidatorOptions, world: World, opened: AsyncDisposableStack): Promise<Reach> {
  const { log, name, network } = options;
  const { monotonic, random } = world;
  const backend = await step('use MURMURATION_BACKEND', 'set it to one of them, or leave it out', () =>
    backendOf(options.env?.MURMURATION_BACKEND),
  );
  const signer = new SignerClient({ socket: options.signer });
  opened.defer(() => signer.close());
  const state = await openState(options, world, opened);
  const { chunks: store, reputation } = state;
  const metrics = createValidatorMetrics();
  const problems = new Problems();
  const neighbours = new Neighbours(monotonic);

  const overlay = await step(`use the identity key ${options.identity}`, 'restore the Secret of the identity', () =>
    createOverlay({
      network,
      identity: state.identity,
      authority: options.authority,
      listen: [options.listen],
      charters: state.charters,
      log: log.child({ room: 'overlay' }),
      clock: world.now,
      random,
    }),
  );
  const { validators, others, ids, isValidator, peers } = new Roster(overlay, world.now);
  const users = await openUserRows(options, state.identity, overlay, world);

  const holdings = new Holdings(store);
  opened.defer(() => holdings.close());
  const swarm: Swarm = new Swarm({
    store,
    holdings,
    channels: (events) =>
      overlay.channels(CHUNKS_PROTOCOL, { ...CHANNEL, maxFrameBytes: MAX_CHUNKS_FRAME_BYTES }, events),
    clock: realClock,
    random,
    weight: (peer) => reputation.of(peer).score,
    stallMs: 10 * second,
    onOutcome: (peer, outcome) => reputation.interaction(peer, outcome),
    onMisbehaviour: (peer, why, detail) => log.warn({ peer, why, detail }, 'a peer sent wrong bytes and is avoided'),
  });
  opened.defer(() => swarm.stop());
  opened.defer(holdings.listen(tellOfChunks(swarm, () => reporter.hurry())));
  const fetcher = new ChunkFetcher({
    store,
    holdings,
    swarm,
    network: overlay,
    random,
    stallMs: 10 * second,
    onFetched: () => reporter.hurry(),
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
  const tasks: ModelTasks = learnModels({
    options,
    backend,
    overlay,
    checkpoints: state.checkpoints,
    catchUp: (model, age, until) => versions.catchUp(model, age, until),
    aged: (uid, age) => versions.advance(uid, age),
    members: ids,
    peers,
    rests: (uid) => rest.isResting(uid),
    users: { rows: (uid) => users.rows.of(uid), spoiled: (uid) => users.rows.spoiled(uid) },
    reputation,
    metrics,
    problems,
    world,
    log,
  });
  const versions: Versions = new Versions({
    overlay,
    network,
    stakeKey: () => validators().find(({ peerId }) => peerId === overlay.peerId)?.stakeKey ?? '',
    sign: (vote) => signer.sign(vote),
    store,
    holdings,
    fetcher,
    certificates: state.certificates,
    times: state.times,
    evidence: state.evidence,
    task: (uid) => tasks.get(uid),
    validators,
    peers,
    onCertified: () => reporter.hurry(),
    problems,
    world,
    metrics,
    log,
  });

  const rest = new Rest({
    self: overlay.peerId,
    members: ids,
    report: (peer) => neighbours.report(peer),
    tasks: () => tasks.list(),
    certifiedAge: (uid) => versions.latest(uid)?.age,
    monotonic,
    log,
  });
  const curves = new Curves({
    file: state.curve,
    tasks: () => tasks.list(),
    now: world.now,
    onUnreadable: (file, error) => log.warn({ file, err: error }, 'cannot be read and is left out'),
    disk: world.disk,
  });

  const reportParts: ReportParts = {
    node: name,
    freeBytes: () => world.freeBytes(options.stateDir),
    charterSeq: () => overlay.charter?.seq ?? 0,
    peers,
    tasks: () => tasks.list(),
    latest: (uid) => versions.latest(uid),
    certifiedAt: (version) => versions.certifiedAt(version),
    holdings,
    usedBytes: () => store.usedBytes,
    reputation,
    members: () => new Set(others().map(({ peerId }) => peerId)),
    problems,
    clock: world.now,
  };
  const reporter = new Reporter({
    publish: async () => overlay.publish('reports', encodeFitting(await composeReport(reportParts))),
    sleep: world.sleep,
    onError: (error) => log.warn({ err: error }, 'could not report'),
  });

  serveProtocols(overlay, {
    store,
    responder: new ChallengeResponder(store, overlay.peerId),
    task: (uid) => tasks.get(uid),
    isValidator,
  });
  const desk = new UserDesk({
    overlay,
    ...users,
    task: (uid) => tasks.get(uid),
    onAnswered: (model, question, outcome) => metrics.userQuestions.inc({ model, question, outcome }),
    now: world.now,
    monotonic: world.monotonic,
    log: log.child({ room: 'users' }),
  });
  overlay.onInteraction((peer, event) => reputation.interaction(peer, event));
  overlay.onCharter((charter) => {
    const all = validators();
    neighbours.keepOnly(new Set(all.map(({ peerId }) => peerId)));
    metrics.charterSeq.set(charter.seq);
    const isMember = all.some(({ peerId }) => peerId === overlay.peerId);
    void tasks.follow(isMember ? charter.models : [], slotOf(all, overlay.peerId));
  });
  overlay.subscribe('reports', (report, from) => neighbours.hear(from, report));
  const catalog = new Catalog({
    self: overlay.peerId,
    charter: () => overlay.charter,
    validators,
    task: (uid) => tasks.get(uid),
    latest: (uid) => versions.latest(uid),
    kept: (uid) => state.certificates.list(uid),
    certifiedAt: (version) => versions.certifiedAt(version),
    holdings,
    neighbours,
  });
  const wanted = () => desk.wanted();
  const market = new Market({ overlay, validators, tasks: () => tasks.list(), wanted, versions, holdings, store });
  const http = createHttp({
    metrics: metrics.registry,
    refresh: () =>
      refreshMetrics(metrics, { ...reportParts, userRows: users.rows }, replicas, { store, swarm }, others()),
    notReady: () => (overlay.charter === undefined ? 'no charter yet: waits for the operator' : undefined),
    status: () => describe(name, overlay, { ...reportParts, userRows: users.rows }, replicas),
    model: (wanted) => {
      const task = tasks.list().find(({ model }) => model.name === wanted);
      return task && served(task);
    },
    catalog,
    history: (wanted) => curves.of(wanted),
  });
  const gateway = createGateway((cid) => store.get(cid));

  // From here on things run: what is deferred last stops first.
  opened.defer(() => overlay.stop());
  opened.defer(() => http.close());
  opened.defer(() => gateway.close());
  const save = () => problems.writing('reputation', () => saveReputation(state.reputationFile, reputation));
  opened.defer(async () => void (await save()));
  const saveCurves = () => problems.writing('curves', () => curves.save());
  opened.defer(async () => void (await saveCurves()));
  opened.defer(() => versions.stop());
  opened.defer(() => tasks.stop());
  const portFix = 'stop what uses the port, or choose another';
  await step(`start the overlay on ${options.listen}`, portFix, () => overlay.start());
  const url = await step(`serve HTTP on ${options.http}`, portFix, () => http.listen(addressOf(options.http)));
  const blocksUrl = await step(`serve blocks on ${options.blocks}`, portFix, () =>
    gateway.listen(addressOf(options.blocks)),
  );
  log.info({ peerId: overlay.peerId, network, addresses: overlay.addresses, url }, 'validator runs');

  const running = new AbortController();
  const loops = runLoops(
    {
      overlay,
      charterFile: options.charter,
      reporter,
      versions,
      replicas,
      market,
      desk,
      store,
      holdings,
      neighbours,
      peers,
      reputation,
      curves,
      saveCurves,
      rest,
      saveReputation: save,
      world,
      log,
    },
    running.signal,
  );
  opened.defer(() => loops);
  opened.defer(() => running.abort());
  return { peerId: overlay.peerId, url, blocksUrl, addresses: overlay.addresses };
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
