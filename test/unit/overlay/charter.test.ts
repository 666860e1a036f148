import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelSpec } from '../../../src/api/index.ts';
import { ModelSpec as modelSpec } from '../../../src/api/index.ts';
import {
  type Charter,
  decodeSignedCharter,
  encodeSignedCharter,
  generateIdentity,
  InvalidCharterError,
  MalformedKeyError,
  type Member,
  openCharter,
  parseIdentity,
  type SignedCharter,
  signCharter,
} from '../../../src/overlay/index.ts';
import { memberOf, network } from './fleet.ts';

const authority = await generateIdentity();
const peers = await Promise.all(Array.from({ length: 4 }, generateIdentity));
const expected = { authority: authority.peerId, network };
const spec: ModelSpec = modelSpec.parse({ data: { source: { builtin: 'digits' }, classes: 10 } });
const address = '/dns4/flock-0.birds.svc/tcp/4001';
const members: readonly Member[] = peers.map((p, i) => ({
  ...memberOf(`flock-${i}`, p.peerId, [address]),
  stakeKey: `02${String(i).repeat(64)}`,
  weight: 100 + i,
}));
const charter: Charter = {
  network,
  seq: 12,
  issuedAt: 1_790_000_000,
  members,
  models: [{ uid: 'u-1', name: 'digits', generation: 3, spec, probeSeed: 7, labels: { team: 'vision' } }],
  placements: [{ model: 'u-1', index: 0, of: 2, holders: [peers[0]!.peerId, peers[1]!.peerId] }],
};
const signed = await signCharter(charter, authority.key);
const badness = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error instanceof InvalidCharterError ? error.reason : `crashed: ${error}`),
  );

describe('an identity', () => {
  it('is read back from its key', async () => {
    const { key, peerId } = await generateIdentity();
    expect(parseIdentity(key).peerId).toBe(peerId);
    expect(key).toHaveLength(68);
  });

  it('that is damaged is refused with reason and fix, and never repeated', () => {
    const secret = authority.key;
    for (const bad of [
      new Uint8Array(),
      secret.subarray(0, 40),
      new Uint8Array(4096),
      new TextEncoder().encode('not a key'),
    ]) {
      expect(() => parseIdentity(bad)).toThrow(MalformedKeyError);
      expect(() => parseIdentity(bad)).toThrow(/restore the key from its backup/);
    }
  });

  it('of random bytes never crashes the reader', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseIdentity(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedKeyError);
        }
      }),
    );
  });
});

describe('a signed charter', () => {
  it('opens as what was signed, also after the trip through a file', async () => {
    const opened = await openCharter(decodeSignedCharter(encodeSignedCharter(signed)), expected);
    expect(opened).toEqual({ ...charter, unreadable: [] });
  });

  it('is the same bytes for the same charter', async () => {
    expect(encodeSignedCharter(await signCharter(structuredClone(charter), authority.key))).toEqual(
      encodeSignedCharter(signed),
    );
  });

  it('carries equal blocks once', async () => {
    const empty = await signCharter({ ...charter, models: [], placements: [] }, authority.key);
    expect(empty.blocks).toHaveLength(2);
    expect(await openCharter(empty, expected)).toMatchObject({ models: [], placements: [] });
  });

  it('by another key, or for another network, is refused by name', async () => {
    expect(await badness(openCharter(await signCharter(charter, peers[0]!.key), expected))).toBe('WrongSignature');
    expect(await badness(openCharter(signed, { ...expected, network: 'birds/other' }))).toBe('WrongNetwork');
  });

  it('whose signature is over the same root for another purpose is refused', async () => {
    const signature = await parseIdentity(authority.key).privateKey.sign(signed.root);
    expect(await badness(openCharter({ ...signed, signature }, expected))).toBe('WrongSignature');
  });

  it('with a block exchanged or missing is refused', async () => {
    const other = await signCharter({ ...charter, members: members.slice(1) }, authority.key);
    expect(await badness(openCharter({ ...signed, blocks: other.blocks }, expected))).toBe('Malformed');
    expect(await badness(openCharter({ ...signed, blocks: signed.blocks.slice(1) }, expected))).toBe('Malformed');
  });

  it('is refused whichever single bit of it is flipped', async () => {
    const bytes = encodeSignedCharter(signed);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength - 1), fc.nat(7), async (at, bit) => {
        const flipped = bytes.slice();
        flipped[at]! ^= 1 << bit;
        expect(await badness((async () => openCharter(decodeSignedCharter(flipped), expected))())).toMatch(
          /^(WrongSignature|Malformed)$/,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('with a model that only a newer build can read is obeyed without that model, which is named', async () => {
    const strange = { ...spec, learning: { ...spec.learning, strategy: 'from-the-future' } } as unknown as ModelSpec;
    const mixed = await signCharter(
      { ...charter, models: [...charter.models, { ...charter.models[0]!, uid: 'u-2', name: 'new', spec: strange }] },
      authority.key,
    );
    const opened = await openCharter(mixed, expected);
    expect(opened.models.map((m) => m.uid)).toEqual(['u-1']);
    expect(opened.unreadable).toMatchObject([{ uid: 'u-2', name: 'new' }]);
    expect(opened.members).toEqual(members);
  });

  it.each<[string, Partial<Charter>]>([
    ['one peer twice', { members: [members[0]!, members[0]!] }],
    ['a peer id that is none', { members: [{ ...members[0]!, peerId: '12D3KooWnobody' }] }],
    ['a stake key that is none', { members: [{ ...members[0]!, stakeKey: '04abcd' }] }],
    ['weight without a stake key', { members: [{ ...members[0]!, stakeKey: '' }] }],
    ['an address that is none', { members: [{ ...members[0]!, addresses: ['flock-0:4001'] }] }],
    ['a shard beyond the last', { placements: [{ model: 'u-1', index: 2, of: 2, holders: [] }] }],
    ['a number that is none', { seq: Number.NaN }],
    ['a negative number', { seq: -1 }],
    ['a network without a namespace', { network: 'flock' }],
  ])('is never made of %s', async (_what, wrong) => {
    expect(await badness(signCharter({ ...charter, ...wrong }, authority.key))).toBe('Malformed');
  });

  it('over 1 MiB is never made, and never read', async () => {
    const crowd = { ...spec, filler: 'x'.repeat(1_100_000) } as unknown as ModelSpec;
    expect(
      await badness(signCharter({ ...charter, models: [{ ...charter.models[0]!, spec: crowd }] }, authority.key)),
    ).toMatch(/TooLarge|Malformed/);
    expect(() => decodeSignedCharter(new Uint8Array(2 ** 20 + 1))).toThrow(InvalidCharterError);
  });
});

describe('hostile bytes', () => {
  it('never do more to the charter reader than be refused', async () => {
    const nested = new Uint8Array(900_000).fill(0x81);
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.anything({ maxDepth: 4 }).map((value) => {
        try {
          return dagCbor.encode(value);
        } catch {
          return new Uint8Array();
        }
      }),
      fc
        .record({
          root: fc.uint8Array(),
          signature: fc.uint8Array(),
          blocks: fc.array(fc.uint8Array(), { maxLength: 4 }),
        })
        .map((v) => dagCbor.encode(v)),
      fc.constant(nested),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (bytes) => {
        expect(await badness((async () => openCharter(decodeSignedCharter(bytes), expected))())).toMatch(
          /^(WrongSignature|Malformed)$/,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('under a right signature are still checked for their shape', async () => {
    const { privateKey } = parseIdentity(authority.key);
    const domain = new TextEncoder().encode('murmuration/charter/1\0');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (root) => {
        const bytes = new Uint8Array([...domain, ...root]);
        const made: SignedCharter = { root, signature: await privateKey.sign(bytes), blocks: signed.blocks };
        expect(await badness(openCharter(made, expected))).toBe('Malformed');
      }),
      { numRuns: 100 },
    );
  });
});
