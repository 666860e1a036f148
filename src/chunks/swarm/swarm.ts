import type { CID } from 'multiformats/cid';
import { MalformedError } from '../../codec/index.ts';
import { BufferMap } from '../buffer-map.ts';
import type { Clock } from '../clock.ts';
import { FetchStalledError, WrongBytesError } from '../errors.ts';
import type { Holdings } from '../holdings.ts';
import { chunkLength, type Manifest } from '../manifest.ts';
import type { FetchOutcome, Misbehaviour } from '../network.ts';
import type { ChunkStore } from '../store.ts';
import { Download, type Unit } from './download.ts';
import { type BlockFrame, decodeFrame, encodeBlock, inMessages, type Message } from './messages.ts';
import { Outbox } from './outbox.ts';
import { Revealing } from './reveal.ts';
import { MAX_WANTED, Uploads, type Wanted } from './uploads.ts';

/** Frames to and from members over long-lived streams; the overlay's channels fit. */
export interface SwarmChannels {
  /** @returns whether there is room for more; if not, `drained` comes */
  send(peer: string, parts: readonly Uint8Array[]): boolean;
  close(peer: string, reason: Error): void;
}

/** What comes over the channels. */
export interface SwarmEvents {
  /** @throws MalformedError: the channel is to be ended */
  readonly onFrame: (peer: string, frame: Uint8Array) => void;
  readonly onDrain: (peer: string) => void;
  readonly onClosed: (peer: string) => void;
}

export interface SwarmOptions {
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  readonly channels: (events: SwarmEvents) => SwarmChannels;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A peer's share of our uplink against others', above 0. Default: all alike. */
  readonly weight?: (peer: string) => number;
  /** Whether a peer may have a block; every member may, unless told. */
  readonly allowed?: (peer: string, cid: CID) => boolean;
  /** A peer sent wrong or malformed bytes. It is not asked again for five minutes. */
  readonly onMisbehaviour?: (peer: string, why: Misbehaviour, detail: string) => void;
  /** How what was asked of a peer ended, for reputation. */
  readonly onOutcome?: (peer: string, outcome: FetchOutcome) => void;
  /** A peer that sends nothing of what it was asked for so long is left alone for a while. Default 15 s. */
  readonly timeoutMs?: number;
  /** Give up when nothing came for so long. Default 60 s. */
  readonly stallMs?: number;
}

export interface DownloadRequest {
  /** Indexes of the chunks; what is here already is not to be among them. */
  readonly units: readonly Unit[];
  /** Who may have them: asked again and again while it runs. */
  readonly sources: () => readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly onChunk?: ((index: number, cid: CID) => void) | undefined;
}

export interface Downloaded {
  /** Bytes of blocks that came, duplicates included. */
  readonly bytes: number;
  /** Bytes that came twice, or after they were no longer waited for. */
  readonly duplicateBytes: number;
}

/** Bytes of blocks that went out and came in, since the start. */
export interface SwarmTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly duplicateBytes: number;
  readonly wrongBytes: number;
}

/** How often what is due is looked at. */
const TICK_MS = 50;
/** Sources are asked for anew, and late peers looked for, every so many ticks. */
const SLOW_TICKS = 5;
/** Versions that one peer may follow with us at a time. */
const MAX_FOLLOWED = 256;
/** Bytes being written above which a chunk is acknowledged only when it is on the disk. */
const MAX_WRITING_BYTES = 16 * 1024 * 1024;
/** After so many ticks a lone peer is taken to be the only one that will come. */
const LONE_TICKS = 4;
/** When others are told of a chunk at the latest: one that few have, and others. It goes with the next frame to them in any case. */
const SOON_MS = 50;
const LATER_MS = 300;
/** So many others that have a chunk are few. */
const FEW = 2;
/** A chunk takes less to arrive, be it one of a mebibyte over 0.3 Mbit/s; ms. */
const STUCK_MS = 30_000;
const AVOID_MS = 5 * 60 * 1000;
const MAX_HINTED = 16;

/** A version that a peer follows with us. */
interface Theirs {
  readonly n: number;
  readonly key: string;
  readonly map: BufferMap;
}

interface Link {
  readonly peer: string;
  readonly theirs: Map<number, Theirs>;
  readonly byKey: Map<string, Theirs>;
  /** Versions that we have opened to it. */
  readonly opened: Set<string>;
  /** Chunks that were asked of it before a download was over, or before it shut the version: they may still come. */
  owed: number;
}

interface Running {
  readonly download: Download;
  readonly sources: () => readonly string[];
  readonly hinted: Set<string>;
  readonly onChunk: ((index: number, cid: CID) => void) | undefined;
  bytes: number;
  duplicateBytes: number;
  wake: (failure?: unknown) => void;
}

/** A version that we follow. */
interface Ours {
  readonly cid: CID;
  readonly key: string;
  readonly n: number;
  readonly manifest: Manifest;
  /** What we hold, kept in step with the store. */
  readonly map: BufferMap;
  /** How many peers have each chunk. */
  readonly available: Uint16Array;
  /** How often each chunk left. */
  readonly times: Uint16Array;
  /** As long as we are the only one that has all of it. */
  revealing: Revealing | undefined;
  /** For how many ticks only one peer has lacked chunks. */
  loneTicks: number;
  running: Running | undefined;
}

/**
 * Versions in chunks, exchanged with many peers at once over one long-lived stream each.
 *
 * Guarantees: a chunk is in the store, announced and served only after its bytes hashed to its CID; a peer that sends wrong or
 * malformed bytes is reported, let go and avoided for five minutes. The first holder of a version shows each chunk to one peer first
 * ({@link Revealing}); others take the rarest first and pass it on; at most {@link MAX_WANTED} requests of a peer wait, and what
 * is under way to all is bounded ({@link Uploads}).
 *
 * Assumes: peers are members, which the channels see to.
 */
export class Swarm {
  readonly #o: SwarmOptions;
  readonly #channels: SwarmChannels;
  readonly #links = new Map<string, Link>();
  readonly #ours = new Map<string, Ours>();
  readonly #byNumber = new Map<number, Ours>();
  readonly #uploads: Uploads;
  readonly #outbox: Outbox;
  readonly #avoid = new Map<string, number>();
  /** Peers that could not be reached: when to try again, and how often it failed. */
  readonly #unreachable = new Map<string, { readonly at: number; readonly failures: number }>();
  readonly #unlisten: () => void;
  readonly #stop = new AbortController();
  #numbers = 0;
  #writingBytes = 0;
  #isTicking = false;
  #isSending = false;
  #ticks = 0;
  #traffic = { sentBytes: 0, receivedBytes: 0, duplicateBytes: 0, wrongBytes: 0 };

  constructor(options: SwarmOptions) {
    this.#o = options;
    this.#uploads = new Uploads(() => options.clock.now(), options.weight ?? (() => 1));
    this.#channels = options.channels({
      onFrame: (peer, frame) => this.#onFrame(peer, frame),
      onDrain: (peer) => {
        this.#uploads.full(peer, false);
        this.#serve();
      },
      onClosed: (peer) => this.#onClosed(peer),
    });
    this.#outbox = new Outbox({
      isThere: (peer) => this.#links.has(peer) && !this.#stop.signal.aborted,
      send: (peer, frame) => this.#channels.send(peer, frame),
    });
    this.#unlisten = options.holdings.listen({
      onFollow: (version) => this.#follow(version),
      onUnfollow: (cid) => this.#unfollow(cid.toString()),
      onChunk: (cid, index, isHeld) => this.#holds(cid.toString(), index, isHeld),
    });
    for (const version of options.holdings.list()) this.#follow(version);
  }

  get traffic(): SwarmTraffic {
    return this.#traffic;
  }

  /** Whether chunks of a version are being fetched. */
  isFetching(version: CID): boolean {
    return this.#ours.get(version.toString())?.running !== undefined;
  }

  /** Whether a peer is left alone for what it did. */
  isAvoided(peer: string): boolean {
    return (this.#avoid.get(peer) ?? 0) > this.#o.clock.now();
  }

  /** Ends downloads under way with an error, and says nothing any more. */
  stop(): void {
    this.#unlisten();
    this.#stop.abort(new Error('the swarm is stopped'));
    for (const { running } of this.#ours.values()) running?.wake(this.#stop.signal.reason);
  }

  /**
   * Get chunks of a version that is followed (see `Holdings`). One download a version at a time.
   * @throws FetchStalledError when nobody sends what is missing, VolumeFullError, or the signal's reason
   */
  async download(cid: CID, request: DownloadRequest): Promise<Downloaded> {
    const ours = this.#ours.get(cid.toString());
    if (ours === undefined) throw new RangeError(`version ${cid.toString()} is not followed`);
    if (ours.running !== undefined) throw new RangeError(`version ${cid.toString()} is being fetched already`);
    request.signal?.throwIfAborted();
    this.#stop.signal.throwIfAborted();
    if (request.units.length === 0) return { bytes: 0, duplicateBytes: 0 };
    const { clock, random } = this.#o;
    const download = new Download({
      units: request.units,
      now: () => clock.now(),
      random,
      has: (peer, index) => this.#links.get(peer)?.byKey.get(ours.key)?.map.has(index) === true,
      available: (index) => ours.available[index] ?? 0,
      want: (peer, at) => this.#outbox.tell(peer, { k: 'want', n: ours.n, at }),
      cancel: (peer, at) => this.#outbox.tell(peer, { k: 'cancel', n: ours.n, at }),
    });
    const finished = Promise.withResolvers<void>();
    const running: Running = {
      download,
      sources: request.sources,
      hinted: new Set(),
      onChunk: request.onChunk,
      bytes: 0,
      duplicateBytes: 0,
      wake: (failure) => (failure === undefined ? finished.resolve() : finished.reject(failure)),
    };
    const giveUp = (): void => running.wake(request.signal?.reason ?? new Error('given up'));
    request.signal?.addEventListener('abort', giveUp, { once: true });
    ours.running = running;
    ours.revealing = undefined;
    try {
      this.#reach(ours, running);
      this.#plan(ours);
      this.#tick();
      await finished.promise;
    } finally {
      request.signal?.removeEventListener('abort', giveUp);
      ours.running = undefined;
      for (const link of this.#links.values()) link.owed += download.abandon(link.peer);
      this.#considerRevealing(ours);
    }
    return { bytes: running.bytes, duplicateBytes: running.duplicateBytes };
  }

  // -- what we hold ---------------------------------------------------------------------------------------------------

  #follow({ cid, manifest, map }: { readonly cid: CID; readonly manifest: Manifest; readonly map: BufferMap }): void {
    const key = cid.toString();
    if (this.#ours.has(key)) return;
    this.#numbers += 1;
    const ours: Ours = {
      cid,
      key,
      n: this.#numbers,
      manifest,
      map: map.clone(),
      available: new Uint16Array(map.length),
      times: new Uint16Array(map.length),
      revealing: undefined,
      loneTicks: 0,
      running: undefined,
    };
    this.#ours.set(key, ours);
    this.#byNumber.set(ours.n, ours);
    for (const [link, theirs] of this.#following(key)) {
      if (theirs.map.length !== map.length) this.#forgetTheirs(link, theirs);
      else for (const index of theirs.map.indexes()) ours.available[index] = (ours.available[index] ?? 0) + 1;
    }
    this.#considerRevealing(ours);
    for (const [link] of this.#following(key)) this.#open(link, ours);
  }

  #unfollow(key: string): void {
    const ours = this.#ours.get(key);
    if (ours === undefined) return;
    ours.running?.wake(new Error(`version ${key} is not followed any more`));
    this.#ours.delete(key);
    this.#byNumber.delete(ours.n);
    for (const { peer, opened } of this.#links.values())
      if (opened.delete(key)) this.#outbox.tell(peer, { k: 'shut', n: ours.n });
  }

  #holds(key: string, index: number, isHeld: boolean): void {
    const ours = this.#ours.get(key);
    if (ours === undefined) return;
    if (isHeld) {
      if (ours.map.set(index)) this.#announce(ours, index);
      return;
    }
    if (!ours.map.clear(index)) return;
    this.#stopRevealing(ours);
    for (const { peer, opened } of this.#links.values())
      if (opened.has(key)) this.#outbox.tell(peer, { k: 'lost', n: ours.n, at: [index] });
  }

  /** We have all of it and nobody else says so: show it little by little. */
  #considerRevealing(ours: Ours): void {
    if (!ours.map.complete || ours.map.length === 0 || ours.running !== undefined || ours.revealing !== undefined)
      return;
    for (const [, theirs] of this.#following(ours.key)) if (theirs.map.complete) return;
    // Whoever was told of everything cannot be made to forget it.
    for (const link of this.#links.values()) if (link.opened.has(ours.key)) return;
    ours.revealing = new Revealing(ours.map.length, this.#o.random);
  }

  #stopRevealing(ours: Ours): void {
    if (ours.revealing === undefined) return;
    ours.revealing = undefined;
    for (const link of this.#links.values()) if (link.opened.delete(ours.key)) this.#open(link, ours);
  }

  /** Tell a peer that we follow a version, and what we have of it. */
  #open(link: Link, ours: Ours): void {
    if (link.opened.has(ours.key)) return;
    link.opened.add(ours.key);
    const theirs = link.byKey.get(ours.key);
    const map =
      ours.revealing === undefined
        ? ours.map
        : BufferMap.of(ours.map.length, [
            ...ours.revealing.shown(link.peer),
            ...(theirs === undefined ? [] : this.#next(link, ours, theirs)),
          ]);
    this.#outbox.tell(link.peer, { k: 'open', n: ours.n, version: ours.cid, length: map.length, bits: map.bits() });
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  /** Runs as long as something is due. */
  #tick(): void {
    if (this.#isTicking || this.#stop.signal.aborted) return;
    this.#isTicking = true;
    this.#o.clock.sleep(TICK_MS, this.#stop.signal).then(
      () => {
        this.#isTicking = false;
        this.#ticks += 1;
        if (this.#due()) this.#tick();
      },
      () => undefined,
    );
  }

  #due(): boolean {
    const isSlow = this.#ticks % SLOW_TICKS === 0;
    let again = this.#outbox.due(this.#o.clock.now() + TICK_MS / 2);
    if (this.#uploads.isBusy) again = true;
    if (isSlow) {
      for (const peer of this.#uploads.stuck(STUCK_MS)) {
        this.#o.onOutcome?.(peer, 'timeout');
        this.#channels.close(peer, new Error('it does not say what has arrived'));
      }
    }
    for (const ours of this.#ours.values()) {
      if (ours.running !== undefined) {
        again = true;
        if (isSlow) this.#lookAfter(ours, ours.running);
      }
      if (ours.revealing !== undefined && this.#revealMore(ours)) again = true;
    }
    return again;
  }

  /** A chunk has come: those who lack it are to be told, and first holders, who count them. Soon, as long as few have it. */
  #announce(ours: Ours, index: number): void {
    const available = ours.available[index] ?? 0;
    const at = this.#o.clock.now() + (available <= FEW ? SOON_MS : LATER_MS);
    for (const [{ peer, opened }, { map }] of this.#following(ours.key)) {
      if (!opened.has(ours.key)) continue;
      // Who shows only a part may have all of it, and needs to know where its chunks went.
      if (map.has(index) && !map.complete && available > FEW) continue;
      this.#outbox.news(peer, ours.n, index, at);
    }
    this.#tick();
  }

  #lookAfter(ours: Ours, running: Running): void {
    const { timeoutMs = 15_000, stallMs = 60_000, onOutcome } = this.#o;
    const { download } = running;
    for (const peer of download.overdue(timeoutMs)) onOutcome?.(peer, 'timeout');
    this.#reach(ours, running);
    this.#plan(ours);
    if (download.stalledMs < stallMs) return;
    const tried = [...this.#following(ours.key)].map(([{ peer }]) => peer);
    running.wake(new FetchStalledError(ours.key, download.missing, download.stalledMs, tried));
  }

  /** Opens the version to all who may have it. */
  #reach(ours: Ours, running: Running): void {
    const now = this.#o.clock.now();
    for (const peer of new Set([...running.sources(), ...running.hinted])) {
      if (this.isAvoided(peer) || (this.#unreachable.get(peer)?.at ?? 0) > now) continue;
      this.#open(this.#link(peer), ours);
    }
  }

  /**
   * The uplink stands still while others lack chunks: each is shown one more. Who is alone passes nothing on, and is shown everything.
   * @returns whether anybody lacks anything
   */
  #revealMore(ours: Ours): boolean {
    if (ours.revealing === undefined) return false;
    const lacking = [...this.#following(ours.key)].filter(
      ([{ opened }, { map }]) => !map.complete && opened.has(ours.key),
    );
    const isIdle = this.#uploads.isIdle;
    ours.loneTicks = lacking.length === 1 ? ours.loneTicks + 1 : 0;
    for (const [link, theirs] of lacking) {
      if (ours.loneTicks >= LONE_TICKS) this.#show(link, ours, ours.revealing.rest(link.peer, theirs.map));
      else if (isIdle) this.#show(link, ours, this.#next(link, ours, theirs, 1));
    }
    return lacking.length > 0;
  }

  #next(link: Link, ours: Ours, theirs: Theirs, more = 0): readonly number[] {
    return ours.revealing?.next(link.peer, theirs.map, (index) => ours.available[index] ?? 0, more) ?? [];
  }

  #show(link: Link, ours: Ours, at: readonly number[]): void {
    for (const some of inMessages(at)) this.#outbox.tell(link.peer, { k: 'have', n: ours.n, at: some });
  }

  // -- what peers say -------------------------------------------------------------------------------------------------

  #onFrame(peer: string, frame: Uint8Array): void {
    if (this.isAvoided(peer)) throw new MalformedError(`what ${peer} says`, 'it is avoided');
    try {
      const decoded = decodeFrame(frame);
      const link = this.#link(peer);
      this.#unreachable.delete(peer);
      if ('block' in decoded) this.#onBlock(link, decoded.block);
      else for (const message of decoded.words) this.#onMessage(link, message);
    } catch (error) {
      // How it ended is told to whoever counts interactions by the channel, which breaks off.
      if (error instanceof MalformedError) this.#letGo(peer, 'malformed', error.message);
      throw error;
    }
    this.#serve();
  }

  #onMessage(link: Link, message: Message): void {
    switch (message.k) {
      case 'open':
        this.#onOpen(link, message.n, message.version, BufferMap.fromBits(message.length, message.bits));
        return;
      case 'shut': {
        const theirs = link.theirs.get(message.n);
        if (theirs !== undefined) this.#forgetTheirs(link, theirs);
        return;
      }
      case 'have':
      case 'lost':
        this.#onChange(link, this.#theirs(link, message.n), message.k === 'have', message.at);
        return;
      case 'want':
        this.#onWant(link, this.#theirs(link, message.n), message.at);
        return;
      case 'cancel': {
        const at = new Set(message.at);
        this.#uploads.cancel(link.peer, message.n, (index) => at.has(index));
        return;
      }
      case 'got':
        for (const index of message.at) this.#uploads.done(link.peer, message.n, index, true);
        return;
      case 'no':
        this.#onNo(link, message.n, message.at, message.why, message.holders ?? []);
    }
  }

  #onOpen(link: Link, n: number, version: CID, map: BufferMap): void {
    const key = version.toString();
    const known = link.theirs.get(n) ?? link.byKey.get(key);
    if (known !== undefined && (known.n !== n || known.key !== key || known.map.length !== map.length))
      throw new MalformedError('an open', `number ${n} and version ${key} do not fit what was said before`);
    if (known === undefined && link.theirs.size >= MAX_FOLLOWED)
      throw new MalformedError('an open', `more than ${MAX_FOLLOWED} versions are followed at once`);
    const ours = this.#ours.get(key);
    if (ours !== undefined && ours.map.length !== map.length)
      throw new MalformedError('an open', `version ${key} has ${ours.map.length} chunks, not ${map.length}`);
    const theirs = known ?? { n, key, map: BufferMap.empty(map.length) };
    if (known === undefined) {
      link.theirs.set(n, theirs);
      link.byKey.set(key, theirs);
    }
    const lost = [...theirs.map.difference(map).indexes()];
    const have = [...map.difference(theirs.map).indexes()];
    if (lost.length > 0) this.#onChange(link, theirs, false, lost);
    this.#onChange(link, theirs, true, have);
    if (ours === undefined) return;
    if (link.opened.has(key)) {
      this.#show(link, ours, this.#next(link, ours, theirs));
    } else this.#open(link, ours);
    this.#tick();
  }

  #onChange(link: Link, theirs: Theirs, isHave: boolean, at: readonly number[]): void {
    for (const index of at)
      if (index >= theirs.map.length)
        throw new MalformedError('a map change', `chunk ${index} of ${theirs.map.length} does not exist`);
    const ours = this.#ours.get(theirs.key);
    const credited = new Set<string>();
    for (const index of at) {
      const changed = isHave ? theirs.map.set(index) : theirs.map.clear(index);
      if (!changed || ours === undefined) continue;
      ours.available[index] = Math.max(0, (ours.available[index] ?? 0) + (isHave ? 1 : -1));
      if (isHave) for (const peer of ours.revealing?.passedOn(index, link.peer) ?? []) credited.add(peer);
    }
    if (ours === undefined) return;
    // Who had a chunk may not have been told that we have it, too (see #announce).
    if (!isHave && ours.revealing === undefined && link.opened.has(ours.key))
      this.#show(
        link,
        ours,
        at.filter((index) => ours.map.has(index)),
      );
    // A second one has everything: from here on they are two to give, and neither need hold back.
    if (ours.revealing !== undefined && theirs.map.complete) this.#stopRevealing(ours);
    for (const peer of credited) {
      const to = this.#links.get(peer);
      const map = to?.byKey.get(ours.key);
      if (to !== undefined && map !== undefined) this.#show(to, ours, this.#next(to, ours, map));
    }
    if (ours.running === undefined) return;
    if (isHave) ours.running.download.has(link.peer, at);
    ours.running.download.plan(link.peer);
  }

  #onWant(link: Link, theirs: Theirs, at: readonly number[]): void {
    const { allowed } = this.#o;
    const ours = this.#ours.get(theirs.key);
    for (const index of at) {
      const cid = ours?.manifest.chunks[index];
      if (ours === undefined || cid === undefined || !ours.map.has(index))
        this.#refuse(link, theirs, index, 'not-here');
      else if (allowed !== undefined && !allowed(link.peer, cid)) this.#refuse(link, theirs, index, 'not-allowed');
      else if (!this.#uploads.want(link.peer, { version: theirs.key, n: theirs.n, index }))
        this.#refuse(link, theirs, index, 'busy');
    }
  }

  #refuse(link: Link, theirs: Theirs, index: number, why: 'busy' | 'not-here' | 'not-allowed'): void {
    const holders =
      why === 'not-here'
        ? [...this.#following(theirs.key)]
            .filter(([other, { map }]) => other !== link && map.has(index))
            .slice(0, 8)
            .map(([{ peer }]) => peer)
        : [];
    this.#outbox.tell(link.peer, {
      k: 'no',
      n: theirs.n,
      at: index,
      why,
      ...(holders.length === 0 ? {} : { holders }),
    });
  }

  #onNo(
    link: Link,
    n: number,
    index: number,
    why: 'busy' | 'not-here' | 'not-allowed',
    holders: readonly string[],
  ): void {
    const running = this.#byNumber.get(n)?.running;
    if (running === undefined) return;
    running.download.refused(link.peer, index, why);
    for (const holder of holders) if (running.hinted.size < MAX_HINTED) running.hinted.add(holder);
    this.#o.onOutcome?.(link.peer, 'refused');
    running.download.plan(link.peer);
    this.#tick();
  }

  // -- chunks in ------------------------------------------------------------------------------------------------------

  #onBlock(link: Link, { n, index, bytes }: BlockFrame): void {
    this.#traffic.receivedBytes += bytes.byteLength;
    const ours = this.#byNumber.get(n);
    const running = ours?.running;
    const isOwed = (): boolean => {
      if (link.owed === 0) return false;
      link.owed -= 1;
      return true;
    };
    const taken = running?.download.took(link.peer, index, isOwed) ?? { is: isOwed() ? 'late' : 'unasked' };
    if (taken.is === 'unasked') throw new MalformedError(`chunk ${index}`, 'it was not asked for');
    const got = (): void => this.#outbox.tell(link.peer, { k: 'got', n, at: [index] });
    if (running !== undefined) running.bytes += bytes.byteLength;
    if (ours === undefined || running === undefined || taken.is !== 'wanted') {
      if (running !== undefined) running.duplicateBytes += bytes.byteLength;
      this.#traffic.duplicateBytes += bytes.byteLength;
      got();
      return;
    }
    if (bytes.byteLength !== chunkLength(ours.manifest, index)) {
      this.#wrong(link, ours, index, bytes.byteLength, `chunk ${index} has ${bytes.byteLength} bytes`);
      return;
    }
    const isHeldUp = this.#writingBytes > MAX_WRITING_BYTES;
    if (!isHeldUp) got();
    void this.#keep(link, ours, running, index, taken.cid, bytes).then(() => {
      if (isHeldUp) got();
    });
    running.download.plan(link.peer);
  }

  async #keep(link: Link, ours: Ours, running: Running, index: number, cid: CID, bytes: Uint8Array): Promise<void> {
    this.#writingBytes += bytes.byteLength;
    try {
      await this.#o.store.putVerified(cid, bytes, { durable: false });
    } catch (error) {
      if (error instanceof WrongBytesError) this.#wrong(link, ours, index, bytes.byteLength, error.message);
      else running.wake(error); // a full or broken disk ends the download: no other peer can repair it
      return;
    } finally {
      this.#writingBytes -= bytes.byteLength;
    }
    this.#o.onOutcome?.(link.peer, 'ok');
    for (const place of running.download.stored(index)) running.onChunk?.(place, cid);
    if (running.download.missing === 0) running.wake();
  }

  #wrong(link: Link, ours: Ours, index: number, length: number, detail: string): void {
    this.#traffic.wrongBytes += length;
    ours.running?.download.failed(index);
    this.report(link.peer, 'wrong-bytes', detail);
  }

  /** A peer has done what no honest peer does: it is let go and left alone for five minutes. */
  report(peer: string, why: Misbehaviour, detail: string): void {
    this.#o.onOutcome?.(peer, why);
    this.#letGo(peer, why, detail);
  }

  #letGo(peer: string, why: Misbehaviour, detail: string): void {
    if (this.isAvoided(peer)) return;
    this.#avoid.set(peer, this.#o.clock.now() + AVOID_MS);
    this.#o.onMisbehaviour?.(peer, why, detail);
    this.#channels.close(peer, new Error(detail));
  }

  // -- chunks out -----------------------------------------------------------------------------------------------------

  #serve(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      for (;;) {
        const next = this.#uploads.next(
          ({ version, index }) => {
            const ours = this.#ours.get(version);
            return ours === undefined ? 0 : chunkLength(ours.manifest, index);
          },
          ({ version, index }) => this.#ours.get(version)?.times[index] ?? 0,
        );
        if (next === undefined) return;
        void this.#sendChunk(next.peer, next.wanted);
        this.#tick();
      }
    } finally {
      this.#isSending = false;
    }
  }

  async #sendChunk(peer: string, wanted: Wanted): Promise<void> {
    const { n, index, version } = wanted;
    const ours = this.#ours.get(version);
    const cid = ours?.manifest.chunks[index];
    if (ours !== undefined) ours.times[index] = (ours.times[index] ?? 0) + 1;
    const bytes = cid && (await this.#o.store.get(cid).catch(() => undefined));
    const link = this.#links.get(peer);
    const theirs = link?.theirs.get(n);
    if (link === undefined || theirs === undefined || bytes === undefined) {
      this.#uploads.done(peer, n, index, false);
      if (link !== undefined && theirs !== undefined) this.#refuse(link, theirs, index, 'not-here');
      this.#serve();
      return;
    }
    this.#traffic.sentBytes += bytes.byteLength;
    if (!this.#channels.send(peer, encodeBlock({ n, index, bytes }))) this.#uploads.full(peer, true);
  }

  // -- links ----------------------------------------------------------------------------------------------------------

  #link(peer: string): Link {
    const known = this.#links.get(peer);
    if (known !== undefined) return known;
    const link = {
      peer,
      theirs: new Map(),
      byKey: new Map(),
      opened: new Set<string>(),
      owed: 0,
    };
    this.#links.set(peer, link);
    return link;
  }

  #theirs(link: Link, n: number): Theirs {
    const theirs = link.theirs.get(n);
    if (theirs === undefined) throw new MalformedError('a swarm message', `number ${n} was not opened`);
    return theirs;
  }

  #forgetTheirs(link: Link, theirs: Theirs): void {
    link.theirs.delete(theirs.n);
    link.byKey.delete(theirs.key);
    this.#uploads.cancel(link.peer, theirs.n, () => true);
    const ours = this.#ours.get(theirs.key);
    if (ours === undefined) return;
    for (const index of theirs.map.indexes()) ours.available[index] = Math.max(0, (ours.available[index] ?? 0) - 1);
    ours.revealing?.forget(link.peer);
    link.owed += ours.running?.download.left(link.peer) ?? 0;
  }

  #onClosed(peer: string): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    const { clock, random } = this.#o;
    const failures = (this.#unreachable.get(peer)?.failures ?? 0) + 1;
    const wait = Math.min(15_000, 250 * 2 ** failures) * (0.5 + random() / 2);
    this.#unreachable.set(peer, { at: clock.now() + wait, failures });
    this.#links.delete(peer);
    this.#outbox.forget(peer);
    for (const theirs of [...link.theirs.values()]) this.#forgetTheirs(link, theirs);
    this.#uploads.forget(peer);
    for (const ours of this.#ours.values()) this.#plan(ours);
    this.#serve();
  }

  /** Peers that follow a version with us. */
  *#following(key: string): Generator<readonly [Link, Theirs]> {
    for (const link of this.#links.values()) {
      const theirs = link.byKey.get(key);
      if (theirs !== undefined) yield [link, theirs];
    }
  }

  /** Asks all who follow it for what is missing. */
  #plan({ key, running }: Ours): void {
    if (running !== undefined) for (const [{ peer }] of this.#following(key)) running.download.plan(peer);
  }
}
