import type { KadDHT } from '@libp2p/kad-dht';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { providerKey } from '../../../src/overlay/index.ts';
import { Providers } from '../../../src/overlay/providers.ts';
import { Fleet, log, network } from './fleet.ts';

const minute = 60_000;

/** A DHT that remembers what it was told, and by whose end it stopped to be told. */
function fakeDht() {
  const told: string[] = [];
  const cancelled: string[] = [];
  const ended: string[] = [];
  let hold: Promise<void> | undefined;
  const dht = {
    async *provide(cid: { toString(): string }, { signal }: { signal: AbortSignal }) {
      told.push(cid.toString());
      signal.addEventListener('abort', () => ended.push(cid.toString()));
      if (hold !== undefined)
        await Promise.race([hold, new Promise((_, reject) => signal.addEventListener('abort', reject))]);
      yield* [];
    },
    cancelReprovide: async (cid: { toString(): string }) => void cancelled.push(cid.toString()),
  };
  return {
    dht: dht as unknown as KadDHT,
    told,
    cancelled,
    ended,
    holdBack: (until: Promise<void>) => {
      hold = until;
    },
  };
}

const providers = (maxKeys?: number) =>
  new Providers({ network, isMember: () => true, log, ...(maxKeys === undefined ? {} : { maxKeys }) });

describe('what is provided', () => {
  let providing: Providers;
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    providing.stop();
    vi.useRealTimers();
  });

  it('is told again before a record runs out, for as long as it is not withheld', async () => {
    const { dht, told, cancelled } = fakeDht();
    providing = providers();
    providing.start(dht);
    await providing.provide('a');
    await providing.provide('b');
    const [a = '', b = ''] = told;
    expect(a).not.toBe(b);
    await providing.withhold('a');
    expect(cancelled).toEqual([a]);
    told.length = 0;
    await vi.advanceTimersByTimeAsync(15 * minute);
    expect(told.length).toBeGreaterThanOrEqual(3);
    expect(new Set(told)).toEqual(new Set([b]));
  });

  it('is told in the middle of a walk no further once it is withheld', async () => {
    const { dht, told, ended, holdBack } = fakeDht();
    providing = providers();
    providing.start(dht);
    holdBack(new Promise(() => undefined));
    const walk = providing.provide('a');
    await vi.waitFor(() => expect(told).toHaveLength(1));
    await providing.withhold('a');
    expect(ended).toEqual(told);
    await walk;
    await vi.advanceTimersByTimeAsync(6 * minute);
    expect(told).toHaveLength(1);
  });

  it('is so much at a time: the newest keys win', async () => {
    const { dht, told, cancelled } = fakeDht();
    providing = providers(2);
    providing.start(dht);
    for (const key of ['a', 'b', 'a', 'c']) await providing.provide(key);
    const [a = '', b = '', again, c = ''] = told;
    expect(again).toBe(a);
    expect(cancelled).toEqual([b]);
    told.length = 0;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told).toEqual([a, c]);
  });

  it('is told to peers that came while everything was being told', async () => {
    const { dht, told, holdBack } = fakeDht();
    const slow = Promise.withResolvers<void>();
    providing = providers();
    await providing.provide('a');
    providing.start(dht);
    holdBack(slow.promise);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told).toHaveLength(1);
    providing.peersChanged();
    slow.resolve();
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told).toHaveLength(2);
  });
});

describe('the data market', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = await Fleet.create();
  });
  afterEach(() => fleet.stop());

  it('names all validators to any member that asks', async () => {
    const peers = await fleet.flock(3);
    const [anna, bert, user] = peers;
    const names = async () => {
      const found = await user!.overlay.findProviders(providerKey.validators, AbortSignal.timeout(5_000));
      return [...found].sort();
    };
    await Promise.all([anna, bert].map((peer) => peer!.overlay.provide(providerKey.validators)));
    const validators = [anna, bert].map((peer) => peer!.key.peerId).sort();
    await expect.poll(names, { timeout: 15_000, interval: 50 }).toEqual(validators);
    await expect(user!.overlay.findProviders(providerKey.model('m'), AbortSignal.timeout(5_000))).resolves.toEqual([]);
  });

  it('finds by the charter’s addresses, and those who can be dialed by nobody, whatever peers announce', async () => {
    const [anna, user] = [await fleet.peer('anna'), await fleet.peer('user', { listen: [] })];
    const port = anna.overlay.addresses[0]!.split('/').at(-1);
    // A name, as pods have; what they announce are numbers.
    const members = [
      { ...anna.member, addresses: [`/dns4/localhost/tcp/${port}`] },
      { ...user.member, addresses: [] },
    ];
    const signed = await fleet.charter(members);
    await Promise.all([anna, user].map(({ overlay }) => overlay.adopt(signed)));
    await anna.overlay.provide(providerKey.validators);
    const find = () => user.overlay.findProviders(providerKey.validators, AbortSignal.timeout(5_000));
    await expect.poll(find, { timeout: 20_000, interval: 200 }).toEqual([anna.key.peerId]);
  });
});
