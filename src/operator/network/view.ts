import { isDeepStrictEqual } from 'node:util';
import type { Clock, ObjectKey } from '../../kube/index.ts';
import { Wakeups } from '../../kube/index.ts';
import type { Charter, Member, Report, ReputationReport } from '../../overlay/index.ts';
import { aggregate, decodeVotesMessage, reaches, verifyCertificate } from '../../trust/index.ts';
import { numbersEveryMs } from '../numbers.ts';
import { type Heard, STALE_MS } from './heard.ts';
import { networkKey } from './key.ts';

/** Silence means something only after the operator has listened for so long. ms */
export const LISTEN_MS = 30_000;
/** An object is woken this often at most. ms */
const WAKE_EVERY_MS = 2_000;
/** A sender whose clock was set back is believed again while its word is no older than this on ours. ms */
const REPEATED_MS = 60_000;

/** A version that enough of the voting weight stands behind. */
export interface CertifiedVersion {
  readonly cid: string;
  readonly age: number;
  readonly chunks: number;
  readonly bytes: number;
  /** Unix ms. */
  readonly at: number;
  readonly voters: number;
}

/** Times are on the monotonic clock: a wall clock that jumps makes nobody silent. */
interface Entry {
  readonly report: Report;
  readonly at: number;
  readonly grewAt: ReadonlyMap<string, number>;
  /** When its validator was last woken for mere numbers. */
  readonly countedAt: number;
  /** Its silence has been told. */
  toldStale: boolean;
}

interface Network {
  readonly namespace: string;
  /** Its key: news of its shards are looked at together. */
  readonly key: ObjectKey;
  readonly since: number;
  charter: Charter | undefined;
  /** Members of the charter by peer id. */
  members: ReadonlyMap<string, Member>;
  /** Its validators by name. */
  validators: ReadonlyMap<string, Member>;
  /** By peer id. */
  readonly entries: Map<string, Entry>;
  /** What others say of a peer: by its id, then by who says it. */
  readonly judgements: Map<string, Map<string, ReputationReport>>;
  /** By model uid: versions with a certificate whose signatures were checked. */
  readonly certificates: Map<string, { readonly cid: string; readonly age: number; readonly voters: number }>;
  /** What all say of a peer, put together when somebody asks; until one says something else. By peer id. */
  readonly reputations: Map<string, Heard['reputation']>;
  toldListening: boolean;
  /** When its shards were last woken. */
  shardsAt: number;
}

/**
 * What the validators say, as the operator heard it. It turns news into keys for the controllers (at most one per object
 * every two seconds); it never makes anybody wait.
 *
 * A report counts for the member whose key signed it, whatever name it gives itself. A version counts where a checked
 * certificate says so, or where members with a quorum of the weight report that they hold it for certified.
 */
export class FleetView {
  readonly nodes = new Wakeups();
  readonly models = new Wakeups();
  /** Of networks, by their keys: the shards of each are looked at together. */
  readonly shards = new Wakeups();
  readonly networks = new Wakeups();
  readonly #clock: Clock;
  readonly #all = new Map<string, Network>();
  readonly #dirty = new Map<Wakeups, Map<string, ObjectKey>>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins to listen to a network, or takes note of its new charter. @param network `namespace/network` */
  attend(network: string, charter: Charter): void {
    const members = new Map(charter.members.map((member) => [member.peerId, member]));
    const validators = new Map(
      charter.members.flatMap((member) => (member.role === 'validator' ? [[member.name, member] as const] : [])),
    );
    const present = this.#all.get(network);
    if (present !== undefined) {
      Object.assign(present, { charter, members, validators });
      for (const [peer, { report }] of present.entries) {
        if (members.has(peer)) continue;
        present.entries.delete(peer);
        present.reputations.delete(peer);
        judge(present, peer, report.reputation, []);
      }
      return;
    }
    const slash = network.indexOf('/');
    const namespace = network.slice(0, slash);
    this.#all.set(network, {
      namespace,
      key: networkKey(namespace, network.slice(slash + 1)),
      since: this.#clock.monotonic(),
      charter,
      members,
      validators,
      entries: new Map(),
      judgements: new Map(),
      certificates: new Map(),
      reputations: new Map(),
      toldListening: false,
      shardsAt: Number.NEGATIVE_INFINITY,
    });
    this.#tick();
  }

  /** Forgets a network that the operator has left. */
  leave(network: string): void {
    this.#all.delete(network);
  }

  /** Stops its clockwork. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#all.clear();
  }

  /** Takes in a message of topic `reports`. An older one that comes again says nothing. @param from peer id that signed it, a member */
  hearReport(network: string, report: Report, from: string): void {
    const here = this.#all.get(network);
    const member = here?.members.get(from);
    if (here === undefined || member === undefined || member.role !== 'validator') return;
    const now = this.#clock.monotonic();
    const before = here.entries.get(from);
    if (before !== undefined && report.at < before.report.at && report.at < this.#clock.now() - REPEATED_MS) return;
    judge(here, from, before?.report.reputation ?? [], report.reputation);
    const isNews =
      before === undefined || before.toldStale || !isDeepStrictEqual(newsOf(before.report), newsOf(report));
    const isDue = isNews || now - before.countedAt >= numbersEveryMs(here.entries.size, WAKE_EVERY_MS);
    here.entries.set(from, {
      report,
      at: now,
      grewAt: grownAt(report, before, now),
      countedAt: isDue ? now : before.countedAt,
      toldStale: false,
    });
    if (isDue) this.#wake(this.nodes, { namespace: here.namespace, name: member.name });
    this.#wakeModels(here, report, isNews, now);
  }

  /** Takes in a message of topic `votes`; certificates are checked against the charter's members. */
  hearVotes(network: string, bytes: Uint8Array): void {
    const here = this.#all.get(network);
    if (here?.charter === undefined) return;
    const message = decodeVotesMessage(bytes);
    if (message.kind !== 'certificate') return;
    const { certificate } = message;
    const model = here.charter.models.find(({ uid }) => uid === certificate.model);
    const known = here.certificates.get(certificate.model);
    if (model === undefined || certificate.network !== network || (known?.age ?? -1) >= certificate.age) return;
    const voters = here.charter.members.filter(({ role }) => role === 'validator');
    if (!verifyCertificate(certificate, voters, model.spec.versions).ok) return;
    here.certificates.set(certificate.model, {
      cid: certificate.version,
      age: certificate.age,
      voters: certificate.signatures.length,
    });
    this.#wake(this.models, { namespace: here.namespace, name: model.name });
  }

  /** Unix ms since when the operator listens to a network; undefined where it does not. */
  listeningSince(network: string): number | undefined {
    const here = this.#all.get(network);
    return here === undefined ? undefined : this.#clock.now() - this.#clock.monotonic() + here.since;
  }

  /** Whether the operator has listened for long enough that silence means something. */
  isListening(network: string): boolean {
    const here = this.#all.get(network);
    return here !== undefined && this.#clock.monotonic() - here.since >= LISTEN_MS;
  }

  /** What was last heard of a validator. */
  heard(network: string, node: string): Heard | undefined {
    const here = this.#all.get(network);
    const member = here?.validators.get(node);
    const entry = member === undefined ? undefined : here?.entries.get(member.peerId);
    if (here === undefined || member === undefined || entry === undefined) return undefined;
    const wall = this.#clock.now() - this.#clock.monotonic();
    return {
      report: entry.report,
      at: wall + entry.at,
      grewAt: new Map([...entry.grewAt].map(([uid, at]) => [uid, wall + at])),
      reputation: reputationOf(here, member.peerId),
    };
  }

  /** The newest certified version of a model, if anything was heard of it. @param uid of the Model */
  version(network: string, uid: string): CertifiedVersion | undefined {
    const here = this.#all.get(network);
    const charter = here?.charter;
    const model = charter?.models.find((one) => one.uid === uid);
    if (here === undefined || charter === undefined || model === undefined) return undefined;
    const checked = here.certificates.get(uid);
    const candidates = new Map<string, { said: CertifiedVersion; by: Set<string> }>();
    for (const member of charter.members) {
      const said = here.entries.get(member.peerId)?.report.models.find((one) => one.uid === uid)?.certified;
      if (said === undefined) continue;
      const id = `${said.cid} ${said.age} ${said.chunks} ${said.bytes}`;
      const candidate = candidates.get(id) ?? { said, by: new Set<string>() };
      candidate.by.add(member.stakeKey);
      candidates.set(id, candidate);
    }
    return [...candidates.values()]
      .filter(({ said, by }) => {
        if (checked?.cid === said.cid && checked.age === said.age) return true;
        return reaches(by, charter.members, { quorum: model.spec.versions.quorum, minimumVoters: 1 });
      })
      .map(({ said }) => said)
      .sort((a, b) => b.age - a.age || a.at - b.at)[0];
  }

  #wakeModels(here: Network, report: Report, isNews: boolean, now: number): void {
    const { namespace, key, charter, entries } = here;
    let concernsShards = report.held.length > 0;
    for (const { uid } of report.models) {
      const model = charter?.models.find((one) => one.uid === uid);
      if (model === undefined) continue;
      concernsShards = true;
      this.#wake(this.models, { namespace, name: model.name });
    }
    // Also without news: disks fill and reputations move, and no message tells of that alone.
    const isDue = now - here.shardsAt >= Math.max(WAKE_EVERY_MS, entries.size * 10);
    if (!concernsShards || (!isNews && !isDue)) return;
    here.shardsAt = now;
    this.#wake(this.shards, key);
  }

  #wake(source: Wakeups, key: ObjectKey): void {
    const waiting = this.#dirty.get(source) ?? new Map<string, ObjectKey>();
    waiting.set(`${key.namespace}/${key.name}`, key);
    this.#dirty.set(source, waiting);
  }

  #tick(): void {
    if (this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(WAKE_EVERY_MS, () => {
      this.#cancel = undefined;
      this.#tellSilence();
      this.#flush();
      if (this.#all.size > 0) this.#tick();
    });
  }

  #flush(): void {
    const waiting = [...this.#dirty];
    this.#dirty.clear();
    for (const [source, keys] of waiting) for (const key of keys.values()) source.wake(key);
  }

  /** Silence is no message, so it is looked for: stale reports, and the end of the time in which it means nothing. */
  #tellSilence(): void {
    const now = this.#clock.monotonic();
    for (const [network, here] of this.#all) {
      const all = !here.toldListening && this.isListening(network);
      if (all) here.toldListening = true;
      for (const member of here.charter?.members ?? []) {
        if (member.role !== 'validator') continue;
        const entry = here.entries.get(member.peerId);
        const stale = entry !== undefined && !entry.toldStale && now - entry.at > STALE_MS;
        if (stale) entry.toldStale = true;
        if (!all && !stale) continue;
        this.#wake(this.nodes, { namespace: here.namespace, name: member.name });
        // A copy that cannot be asked for does not count: also who holds it is told at once.
        this.#wake(this.shards, here.key);
      }
      if (!all) continue;
      for (const { name } of here.charter?.models ?? []) this.#wake(this.models, { namespace: here.namespace, name });
    }
  }
}

/** What of a report others act on: all but the numbers that move all the time. */
const newsOf = ({ backend, peers, models, held, problems }: Report): unknown => [
  backend,
  peers > 0,
  models.map(({ uid, age, certified, problem }) => [uid, age > 0, certified, problem]),
  held,
  problems,
];

/** When each model's age last grew, as far as that was seen. An age that is there when it is first heard of has grown. */
function grownAt(report: Report, before: Entry | undefined, now: number): ReadonlyMap<string, number> {
  return new Map(
    report.models.flatMap(({ uid, age }) => {
      const was = before?.report.models.find((model) => model.uid === uid)?.age ?? 0;
      const at = age > was ? now : before?.grewAt.get(uid);
      return at === undefined ? [] : [[uid, at] as const];
    }),
  );
}

/** Replaces what a peer said of others. Its word about itself does not count. */
function judge(
  here: Network,
  from: string,
  before: readonly ReputationReport[],
  after: readonly ReputationReport[],
): void {
  if (isDeepStrictEqual(before, after)) return;
  for (const { peerId } of [...before, ...after]) here.reputations.delete(peerId);
  for (const { peerId } of before) {
    const judges = here.judgements.get(peerId);
    judges?.delete(from);
    if (judges?.size === 0) here.judgements.delete(peerId);
  }
  for (const judgement of after) {
    if (judgement.peerId === from) continue;
    const judges = here.judgements.get(judgement.peerId);
    if (judges === undefined) here.judgements.set(judgement.peerId, new Map([[from, judgement]]));
    else judges.set(from, judgement);
  }
}

function reputationOf({ judgements, reputations }: Network, peer: string): Heard['reputation'] {
  const known = reputations.get(peer);
  if (known !== undefined) return known;
  const judges = judgements.get(peer);
  if (judges === undefined) return undefined;
  const reputation = aggregate([...judges.values()]);
  reputations.set(peer, reputation);
  return reputation;
}
