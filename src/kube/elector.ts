import type { Client } from './client.ts';
import { AlreadyExists, Conflict, messageOf } from './errors.ts';
import { microTime } from './events.ts';
import type { LeaseFence } from './fence.ts';
import { Lease } from './kinds.ts';
import type { Log } from './log.ts';
import type { Existing, ObjectKey } from './objects.ts';
import { type Clock, type Random, sleep } from './time.ts';

export interface ElectorInit {
  /** Without a fence: the lease is written by who does not lead yet. */
  readonly client: Client;
  /** Moved forward at each renewal. */
  readonly fence: LeaseFence;
  readonly lease: ObjectKey;
  /** This process and no other, ever: a pod's name and a random part. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Others wait so long after the last renewal they saw. ms, default 15 000. */
  readonly leaseMs?: number | undefined;
  /** We stop writing so long after our last renewal. ms, default 10 000; less than leaseMs. */
  readonly renewMs?: number | undefined;
  /** Time between two renewals. ms, default 2 000. */
  readonly retryMs?: number | undefined;
  /** Time between two looks while someone else leads. ms, default 500. */
  readonly lookMs?: number | undefined;
  /** Called with a signal that is aborted when the lead is lost; the next term waits until it has returned. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly onChange?: ((leading: boolean) => void) | undefined;
}

/**
 * Leader election by a Lease, in the way of client-go.
 *
 * Guarantees: at most one process whose fence is open, as long as clocks run at about the same rate (they need not agree).
 * The fence closes `renewMs` after the start of the last successful renewal; no one takes the lease before `leaseMs` after
 * having seen that renewal. A process that stops gives the lease back at once.
 *
 * Caveat: a write that was sent before the fence closed may still be under way in the network; `leaseMs - renewMs` is the
 * time it has to arrive.
 */
export class Elector {
  readonly #init: ElectorInit;
  #lease: Existing<Lease> | undefined;
  /** When the present version of the lease was first seen, on our monotonic clock. */
  #seenAt = 0;
  #leading = false;
  /** When somebody, we or another, was last seen to hold the lease; before the first look, when that began. */
  #heldAt: number | undefined;
  /** Why the last attempt failed. */
  #problem: string | undefined;

  constructor(init: ElectorInit) {
    const { leaseMs = 15_000, renewMs = 10_000, retryMs = 2_000 } = init;
    if (!(leaseMs > renewMs && renewMs > retryMs)) {
      throw new RangeError(`lease ${leaseMs} ms > renew deadline ${renewMs} ms > retry ${retryMs} ms does not hold`);
    }
    this.#init = init;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** The identity of who holds the lease, as last seen. */
  get holder(): string | undefined {
    const holder = this.#lease?.spec?.holderIdentity;
    return holder === '' ? undefined : holder;
  }

  /** Says so, and why, when for longer than `ms` nobody was seen to hold the lease. */
  leaderless(ms: number): string | undefined {
    const { clock, lease } = this.#init;
    const silence = clock.monotonic() - (this.#heldAt ?? clock.monotonic());
    if (silence <= ms) return undefined;
    const why = this.#problem === undefined ? '' : ` (${this.#problem})`;
    return `lease ${lease.namespace}/${lease.name}: nobody has held it for ${Math.round(silence / 1000)} s${why}`;
  }

  /** Competes until the signal is aborted; then ends its term, gives the lease back and resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, lookMs = 500 } = this.#init;
    while (!signal.aborted) {
      if (await this.#attempt(signal)) await this.#term(signal);
      else {
        // Not a moment later than it runs out: that is when somebody may be missing.
        const left = this.#expiresAt() - clock.monotonic();
        const pause = lookMs * (0.8 + 0.2 * random());
        await sleep(clock, left > 0 ? Math.min(left, pause) : pause, signal).catch(() => undefined);
      }
    }
  }

  /** When the lease runs out by what was seen of it, on our monotonic clock. */
  #expiresAt(): number {
    const { leaseMs = 15_000 } = this.#init;
    const { leaseDurationSeconds } = this.#lease?.spec ?? {};
    return this.#seenAt + (leaseDurationSeconds === undefined ? leaseMs : leaseDurationSeconds * 1000);
  }

  async #term(stop: AbortSignal): Promise<void> {
    const { clock, random, log, fence, retryMs = 2_000, identity, lead, onChange } = this.#init;
    const term = new AbortController();
    let over = false;
    log.info({ identity }, 'leading');
    this.#leading = true;
    onChange?.(true);
    const work = lead(term.signal)
      .catch((error: unknown) => log.error({ err: messageOf(error) }, 'the work of the leader failed'))
      .finally(() => {
        over = true;
      });
    const onStop = () => term.abort(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    // Renewed until the work has ended, also while it is ending.
    const ended = new AbortController();
    void work.then(() => ended.abort(new Error('the term is over')));
    while (!over) {
      await sleep(
        clock,
        Math.max(0, Math.min(retryMs * (0.8 + 0.2 * random()), fence.remainingMs())),
        ended.signal,
      ).catch(() => undefined);
      if (over) break;
      const renewed = await this.#attempt(ended.signal);
      if (!renewed && fence.remainingMs() <= 0 && !term.signal.aborted) {
        log.error({ identity, holder: this.holder }, 'the lease was not renewed in time: no longer leading');
        fence.close();
        term.abort(new Error('the lease was lost'));
      }
      if (!renewed && fence.remainingMs() <= 0) break;
    }
    await work;
    stop.removeEventListener('abort', onStop);
    this.#leading = false;
    onChange?.(false);
    if (fence.remainingMs() > 0) {
      fence.close();
      await this.#release();
    }
  }

  /** Takes or renews the lease; whether it is ours now. Never throws. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { client, clock, log, lease: key, identity, fence, renewMs = 10_000 } = this.#init;
    const started = clock.monotonic();
    // A hanging connection must leave time for another try, and must not hide that the time is over.
    const left = this.#leading ? Math.max(1, fence.remainingMs()) : renewMs;
    const call = { signal, deadlineMs: Math.min(left, renewMs / 3) };
    this.#heldAt ??= started;
    try {
      // While we hold it, the copy we wrote is the newest one, or we get a Conflict and look.
      if (!this.#holds()) this.#saw(await client.find(Lease, key, call));
      const lease = this.#lease;
      if (lease === undefined) {
        this.#saw(await client.create(Lease, this.#claim(undefined), call));
      } else {
        const { holderIdentity } = lease.spec ?? {};
        const theirs = holderIdentity !== undefined && holderIdentity !== '' && holderIdentity !== identity;
        if (theirs && clock.monotonic() < this.#expiresAt()) {
          this.#heldAt = clock.monotonic();
          return false;
        }
        this.#saw(await client.replace(Lease, this.#claim(lease), call));
      }
      fence.allowUntil(started + renewMs);
      this.#heldAt = started;
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (error instanceof Conflict || error instanceof AlreadyExists) {
        await client.find(Lease, key, call).then(
          (lease) => this.#saw(lease),
          () => undefined,
        );
      }
      this.#problem = messageOf(error);
      log.debug(
        { lease: `${key.namespace}/${key.name}`, err: this.#problem },
        'the lease could not be taken or renewed',
      );
      return false;
    }
  }

  async #release(): Promise<void> {
    const { client, log, clock } = this.#init;
    const lease = this.#lease;
    if (lease === undefined || !this.#holds()) return;
    try {
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock.now()) };
      this.#saw(await client.replace(Lease, { ...lease, spec }, { deadlineMs: 3_000 }));
      log.info({}, 'gave the lease back');
    } catch (error) {
      log.warn({ err: messageOf(error) }, 'the lease could not be given back; it runs out by itself');
    }
  }

  #holds(): boolean {
    return this.#lease?.spec?.holderIdentity === this.#init.identity;
  }

  #saw(lease: Existing<Lease> | undefined): void {
    if (lease?.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion)
      this.#seenAt = this.#init.clock.monotonic();
    this.#lease = lease;
  }

  #claim(lease: Existing<Lease> | undefined): Lease {
    const { clock, identity, lease: key, leaseMs = 15_000 } = this.#init;
    const now = microTime(clock.now());
    const goesOn = lease?.spec?.holderIdentity === identity;
    const transitions = lease?.spec?.leaseTransitions ?? 0;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease?.metadata ?? { ...key },
      spec: {
        ...lease?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseMs / 1000),
        acquireTime: goesOn ? lease.spec?.acquireTime : now,
        renewTime: now,
        leaseTransitions: goesOn || lease === undefined ? transitions : transitions + 1,
      },
    };
  }
}
