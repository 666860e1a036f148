import { describe, expect, it } from 'vitest';
import { generateIdentity } from '../../../src/overlay/index.ts';
import { type BoxFor, openerOf, seal, UserError } from '../../../src/user/index.ts';

const network = 'test/default';
const secret = new TextEncoder().encode('rows that are nobody else’s business');

async function two() {
  const [one, other] = await Promise.all([generateIdentity(), generateIdentity()]);
  const [opener, otherOpener] = [await openerOf(one.key, network), await openerOf(other.key, network)];
  const to: BoxFor = { network, model: 'uid-1', validator: one.peerId, user: 'a user' };
  return { one, other, opener, otherOpener, to };
}

describe('a sealed box', () => {
  it('opens for the validator that it was sealed to, also after a restart', async () => {
    const { one, opener, to } = await two();
    const box = await seal(secret, opener, to);
    expect(Buffer.from(box.ct).includes(Buffer.from(secret))).toBe(false);
    expect(await opener.open(box, to)).toEqual(secret);
    expect(await (await openerOf(one.key, network)).open(box, to)).toEqual(secret);
  });

  it('is another one each time', async () => {
    const { opener, to } = await two();
    expect((await seal(secret, opener, to)).ct).not.toEqual((await seal(secret, opener, to)).ct);
  });

  it('opens for nobody else', async () => {
    const { other, opener, otherOpener, to } = await two();
    const box = await seal(secret, opener, to);
    await expect(otherOpener.open(box, to)).rejects.toThrow(UserError);
    await expect(otherOpener.open(box, { ...to, validator: other.peerId })).rejects.toThrow(UserError);
  });

  it.each([
    ['another user', { user: 'another user' }],
    ['another model', { model: 'uid-2' }],
    ['another network', { network: 'test/other' }],
    ['another validator', { validator: 'somebody' }],
  ])('does not open as that of %s', async (_, change) => {
    const { opener, to } = await two();
    await expect(opener.open(await seal(secret, opener, to), { ...to, ...change })).rejects.toThrow(UserError);
  });

  it('does not open when a bit of it was changed', async () => {
    const { opener, to } = await two();
    const { enc, ct } = await seal(secret, opener, to);
    ct[3]! ^= 1;
    await expect(opener.open({ enc, ct }, to)).rejects.toThrow(UserError);
    await expect(opener.open({ enc: new Uint8Array(32), ct }, to)).rejects.toThrow(UserError);
  });

  it('is not made for a key that its validator has not signed for this network', async () => {
    const { opener, otherOpener, to } = await two();
    await expect(seal(secret, otherOpener, to)).rejects.toMatchObject({ reason: 'offer' });
    await expect(seal(secret, { ...opener, sealKey: otherOpener.sealKey }, to)).rejects.toMatchObject({
      reason: 'offer',
    });
    await expect(seal(secret, opener, { ...to, network: 'test/other' })).rejects.toMatchObject({ reason: 'offer' });
  });
});
