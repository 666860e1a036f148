import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { USER_ENTRY_LABELS, userEntryName } from '../../../src/api/index.ts';
import { removeEntry, writeEntry } from '../../../src/cli/user/entry.ts';
import { ConfigMap } from '../../../src/kube/index.ts';
import { generateIdentity, type Member } from '../../../src/overlay/index.ts';
import { fleet, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const users = (): readonly Member[] =>
  stage.overlays.of(`${stage.namespace}/default`)?.charter?.members.filter(({ role }) => role === 'user') ?? [];
const signal = new AbortController().signal;

describe('an entry of a user', () => {
  it('lets it into the charter until its end, which it can put off; without it, it is out', async () => {
    await stage.apply(fleet('flock', 1));
    await untilSettled(stage, 'flock', 1);
    const { peerId } = await generateIdentity();
    const until = Date.now() + 60_000;
    const entry = { namespace: stage.namespace, network: 'default', peerId, name: 'ann', until };
    await writeEntry(stage.client, entry, signal);
    const [user] = await stage.until('it is in the charter', async () => (users().length > 0 ? users() : undefined));
    const notAfter = Math.floor(until / 1000);
    expect(user).toEqual({ peerId, name: 'ann', stakeKey: '', weight: 0, role: 'user', notAfter, addresses: [] });
    await writeEntry(stage.client, { ...entry, until: until + 600_000 }, signal);
    await stage.until('it stays longer', async () => users()[0]?.notAfter === notAfter + 600);
    expect(await removeEntry(stage.client, entry)).toBe(true);
    await stage.until('it is out', async () => users().length === 0);
    expect(await removeEntry(stage.client, entry)).toBe(false);
  });

  it('of another network, or one that is none, lets nobody in; one that runs out is left out again', async () => {
    await stage.apply(fleet('flock', 1));
    await untilSettled(stage, 'flock', 1);
    const [one, two, three] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
    const entry = { namespace: stage.namespace, network: 'default', name: 'ann', until: Date.now() + 3_600_000 };
    await writeEntry(stage.client, { ...entry, network: 'other', peerId: one.peerId }, signal);
    const labels = { ...USER_ENTRY_LABELS, 'murmuration.dev/network': 'default' };
    const metadata = { name: 'nonsense', namespace: stage.namespace, labels };
    await stage.client.create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { peerId: 'x' } });
    await writeEntry(stage.client, { ...entry, peerId: two.peerId, until: Date.now() + 6_000 }, signal);
    await writeEntry(stage.client, { ...entry, peerId: three.peerId }, signal);
    await stage.until('two are in', async () => users().length === 2);
    expect(users().map(({ peerId }) => peerId)).toEqual([two.peerId, three.peerId].sort());
    await stage.until('one is left', async () => users().length === 1);
    expect(users()[0]?.peerId).toBe(three.peerId);
    const left = await stage.get(ConfigMap, userEntryName('default', two.peerId));
    expect(left?.data?.peerId).toBe(two.peerId);
  });
});
