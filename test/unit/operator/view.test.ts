import { describe, expect, it } from 'vitest';
import { Model } from '../../../src/api/index.ts';
import { isFresh, STALE_MS } from '../../../src/operator/network/heard.ts';
import { FleetView, LISTEN_MS } from '../../../src/operator/network/view.ts';
import { type Charter, generateIdentity, type ModelReport, type Report } from '../../../src/overlay/index.ts';
import {
  certify,
  encodeVotesMessage,
  generateStakeKey,
  publicKeyOf,
  StakeKey,
  voteDigest,
} from '../../../src/trust/index.ts';
import { StillClock } from '../kube/clock.ts';
import { NOW, reportOf } from './cluster.ts';

const NETWORK = 'garden/default';
const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const secrets = [generateStakeKey(), generateStakeKey(), generateStakeKey()];
const peers = await Promise.all(secrets.map(async () => (await generateIdentity()).peerId));
const [firstPeer = ''] = peers;

const { spec } = Model.parse({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'Model',
  metadata: { name: 'digits' },
  spec: { data: { source: { builtin: 'digits' }, classes: 10 } },
});

const charter: Charter = {
  network: NETWORK,
  seq: 1,
  issuedAt: 0,
  members: [
    { peerId: 'op', name: 'operator', stakeKey: '', weight: 0, role: 'observer', notAfter: 0, addresses: [] },
    ...secrets.map((secret, index) => ({
      peerId: peers[index] ?? '',
      name: `flock-${index}`,
      stakeKey: publicKeyOf(secret),
      weight: 1,
      role: 'validator' as const,
      notAfter: 0,
      addresses: [],
    })),
  ],
  models: [{ uid: 'uid-1', name: 'digits', generation: 1, spec, probeSeed: 1 }],
  placements: [{ model: 'uid-1', index: 0, of: 1, holders: [firstPeer] }],
};

function scene(obeyed: Charter = charter) {
  const clock = new StillClock(NOW);
  const view = new FleetView(clock);
  view.attend(NETWORK, obeyed);
  const woken: string[] = [];
  for (const kind of ['nodes', 'models', 'shards'] as const) {
    view[kind].subscribe(({ namespace, name }) => woken.push(`${kind} ${namespace}/${name}`));
  }
  const report = (index: number, change: Partial<Report> = {}) =>
    view.hearReport(
      NETWORK,
      { ...reportOf(`flock-${index}`, clock.now()), ...change },
      obeyed.members[index + 1]?.peerId ?? '',
    );
  return { clock, view, woken, report };
}

/** A network of so many validators. */
function crowd(count: number) {
  const [operator, first] = charter.members;
  const members = Array.from({ length: count }, (_, at) => ({ ...first!, peerId: `peer-${at}`, name: `flock-${at}` }));
  const { report, ...rest } = scene({ ...charter, members: [operator!, ...members] });
  return { ...rest, many: members.map((_, at) => (change: Partial<Report>) => report(at, change)) };
}

const learned = (age: number, more: Partial<ModelReport> = {}): ModelReport => ({
  uid: 'uid-1',
  age,
  loss: null,
  accuracy: null,
  divergence: null,
  ...more,
});
const certified = { cid: CID, age: 500, bytes: 9640, chunks: 6, voters: 3, at: NOW };

describe('the fleet view', () => {
  it('wakes each object once in two seconds, however much is said', () => {
    const { clock, woken, report } = scene();
    for (let index = 0; index < 50; index++) report(0, { models: [learned(index)] });
    expect(woken).toEqual([]);
    clock.passAtOnce(2_000);
    expect(woken.sort()).toEqual(['models garden/digits', 'nodes garden/flock-0', 'shards garden/default-charter']);
    clock.passAtOnce(4_000);
    expect(woken).toHaveLength(3);
  });

  it('wakes the shards when it is news who holds what, and every two seconds, for time tells who is lost', () => {
    const { clock, woken, report } = scene();
    const held = (bits: number) => [{ model: 'uid-1', cid: CID, chunks: 6, bitmap: Uint8Array.of(bits) }];
    report(0, { models: [learned(1)], held: held(0b1) });
    clock.passAtOnce(1_000);
    report(0, { models: [learned(2)], held: held(0b1) });
    clock.passAtOnce(1_000);
    woken.length = 0;
    report(0, { models: [learned(2)], held: held(0b11) });
    clock.passAtOnce(2_000);
    expect(woken.sort()).toEqual(['models garden/digits', 'nodes garden/flock-0', 'shards garden/default-charter']);
    woken.length = 0;
    report(0, { models: [learned(3)], held: held(0b11) });
    clock.passAtOnce(2_000);
    expect(woken.sort()).toEqual(['models garden/digits', 'nodes garden/flock-0', 'shards garden/default-charter']);
  });

  it('wakes each of many validators less often for numbers, and at once for news', () => {
    const { clock, view, woken, many } = crowd(100);
    for (const index of many.keys()) many[index]?.({ models: [learned(1)] });
    clock.passAtOnce(2_000);
    expect(woken.filter((one) => one.startsWith('nodes'))).toHaveLength(100);
    woken.length = 0;
    many[7]?.({ models: [learned(2)] });
    many[8]?.({ models: [learned(2)], problems: [{ reason: 'VolumeFull', message: 'The volume is full.' }] });
    clock.passAtOnce(2_000);
    expect(woken.sort()).toEqual(['models garden/digits', 'nodes garden/flock-8', 'shards garden/default-charter']);
    clock.passAtOnce(2_000);
    many[7]?.({ models: [learned(3)] });
    clock.passAtOnce(2_000);
    expect(woken).toContain('nodes garden/flock-7');
    expect(view.heard(NETWORK, 'flock-7')?.report.models[0]?.age).toBe(3);
  });

  it('takes an older report that comes again for nothing, and believes a clock that was set back', () => {
    const { clock, view, report } = scene();
    report(0, { peers: 7 });
    clock.passAtOnce(70_000);
    report(0, { peers: 8 });
    report(0, { peers: 7, at: clock.now() - 70_000 });
    expect(view.heard(NETWORK, 'flock-0')?.report.peers).toBe(8);
    report(0, { peers: 9, at: clock.now() - 1_000 });
    expect(view.heard(NETWORK, 'flock-0')?.report.peers).toBe(9);
  });

  it('hears nobody who is no validator of the charter, and goes by the key and not by the name in the report', () => {
    const { view, report } = scene();
    report(0, { node: 'flock-2' });
    expect(view.heard(NETWORK, 'flock-0')?.report.node).toBe('flock-2');
    expect(view.heard(NETWORK, 'flock-2')).toBeUndefined();
    view.hearReport(NETWORK, view.heard(NETWORK, 'flock-0')!.report, 'stranger');
    expect(view.heard(NETWORK, 'flock-1')).toBeUndefined();
  });

  it('wakes a validator that has fallen silent, and the shards, for its copies do not count', () => {
    const { clock, woken, report } = scene();
    report(1);
    clock.passAtOnce(2_000);
    woken.length = 0;
    clock.passAtOnce(15_500);
    expect(woken).toEqual(['nodes garden/flock-1', 'shards garden/default-charter']);
    clock.passAtOnce(6_000);
    expect(woken).toHaveLength(2);
  });

  it.each([-3_600_000, 3_600_000])('takes nobody for silent or alive because the wall clock jumps by %i ms', (ms) => {
    const { clock, view, report } = scene();
    report(0);
    clock.passAtOnce(STALE_MS - 1_000);
    clock.jump(ms);
    expect(isFresh(view.heard(NETWORK, 'flock-0'), clock.now())).toBe(true);
    expect(view.isListening(NETWORK)).toBe(false);
    clock.passAtOnce(2_000);
    expect(isFresh(view.heard(NETWORK, 'flock-0'), clock.now())).toBe(false);
    clock.passAtOnce(LISTEN_MS);
    expect(view.isListening(NETWORK)).toBe(true);
  });

  it('wakes everybody when silence begins to mean something', () => {
    const { clock, view, woken } = scene();
    expect(view.isListening(NETWORK)).toBe(false);
    clock.passAtOnce(LISTEN_MS + 2_000);
    expect(view.isListening(NETWORK)).toBe(true);
    expect(woken.sort()).toEqual([
      'models garden/digits',
      'nodes garden/flock-0',
      'nodes garden/flock-1',
      'nodes garden/flock-2',
      'shards garden/default-charter',
    ]);
  });

  it('takes the median of what the others say of a validator, and nothing of what it says of itself', () => {
    const { view, report } = scene();
    const says = (storage: number) => [{ peerId: firstPeer, storage, learning: 0.5, interactions: 1 }];
    report(0, { reputation: says(1) });
    report(1, { reputation: says(0.2) });
    report(2, { reputation: says(0.4) });
    expect(view.heard(NETWORK, 'flock-0')?.reputation?.storage).toBeCloseTo(0.3);
    // Who is no validator has no say: an observer or a user could be anybody.
    const outsider = { ...view.heard(NETWORK, 'flock-1')!.report, reputation: says(0) };
    view.hearReport(NETWORK, outsider, 'op');
    expect(view.heard(NETWORK, 'flock-0')?.reputation?.storage).toBeCloseTo(0.3);
  });

  it('believes in a version when members with a quorum of the weight report it', () => {
    const { view, report } = scene();
    report(0, { models: [learned(510, { certified })] });
    expect(view.version(NETWORK, 'uid-1')).toBeUndefined();
    report(1, { models: [learned(520, { certified })] });
    expect(view.version(NETWORK, 'uid-1')).toMatchObject({ cid: CID, age: 500, chunks: 6 });
  });

  it('believes in a version that one reports when it has heard a good certificate, and in no forged one', () => {
    const votes = secrets.slice(0, 2).map((secret) => {
      const vote = {
        v: 1,
        network: NETWORK,
        model: 'uid-1',
        age: 500,
        version: CID,
        voter: publicKeyOf(secret),
      } as const;
      return { vote, signature: new StakeKey(secret).sign(voteDigest(vote)) };
    });
    const certificate = certify(votes, charter.members, { quorum: '2/3', minimumVoters: 1 }, 1)!;
    const { view, report } = scene();
    report(0, { models: [learned(510, { certified })] });
    const forged = { ...certificate, age: 501 };
    view.hearVotes(NETWORK, encodeVotesMessage({ v: 1, kind: 'certificate', certificate: forged }));
    expect(view.version(NETWORK, 'uid-1')).toBeUndefined();
    view.hearVotes(NETWORK, encodeVotesMessage({ v: 1, kind: 'certificate', certificate }));
    expect(view.version(NETWORK, 'uid-1')).toMatchObject({ cid: CID });
  });

  it('knows whether an age grows', () => {
    const { clock, view, report } = scene();
    report(0, { models: [learned(5)] });
    const grewAt = view.heard(NETWORK, 'flock-0')?.grewAt.get('uid-1');
    expect(grewAt).toBe(NOW);
    clock.passAtOnce(5_000);
    report(0, { models: [learned(5)] });
    expect(view.heard(NETWORK, 'flock-0')?.grewAt.get('uid-1')).toBe(grewAt);
    report(0, { models: [learned(6)] });
    expect(view.heard(NETWORK, 'flock-0')?.grewAt.get('uid-1')).toBe(NOW + 5_000);
  });
});
