import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedError } from '../../../src/codec/index.ts';
import { decodeHello, encodeHello, mismatch, replaces } from '../../../src/overlay/hello.ts';
import { decodeReport, encodeReport, generateIdentity, type Report, reportLimits } from '../../../src/overlay/index.ts';
import { decodeReply, encodeReply } from '../../../src/overlay/reply.ts';
import { report } from './fleet.ts';

const { peerId } = await generateIdentity();
const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

const full: Report = report('flock-0', {
  models: [
    {
      uid: 'u-1',
      age: 1500,
      loss: 0.25,
      accuracy: 0.95,
      divergence: 0.01,
      certified: { cid, age: 1000, bytes: 400_000, chunks: 4, voters: 3, at: 1_790_000_000_000 },
      problem: { reason: 'DataMissing', message: 'the file is not there; mount it' },
    },
    { uid: 'u-2', age: 0, loss: null, accuracy: null, divergence: null },
  ],
  reputation: [{ peerId, storage: 1, learning: 0.5, interactions: 0 }],
  held: [{ model: 'u-1', cid, chunks: 10, bitmap: Uint8Array.of(0xff, 0x03) }],
  problems: [{ reason: 'DiskFull', message: 'make the volume larger' }],
});

describe('a report', () => {
  it('is read back as it was written', () => {
    expect(decodeReport(encodeReport(full))).toEqual(full);
  });

  it('may say more than this build knows, which is dropped', () => {
    const newer = dagCbor.encode({ ...full, mood: 'cheerful' });
    expect(decodeReport(newer)).toEqual(full);
  });

  it.each<[string, Partial<Report>]>([
    ['a loss that is infinite', { models: [{ ...full.models[1]!, loss: Number.POSITIVE_INFINITY }] }],
    ['an accuracy over 1', { models: [{ ...full.models[1]!, accuracy: 1.01 }] }],
    ['an age that is negative', { models: [{ ...full.models[1]!, age: -1 }] }],
    ['an age that is no whole number', { models: [{ ...full.models[1]!, age: 0.5 }] }],
    ['a reputation below 0', { reputation: [{ ...full.reputation[0]!, storage: -0.1 }] }],
    ['a peer id that is none', { reputation: [{ ...full.reputation[0]!, peerId: 'me' }] }],
    ['a bitmap of another length than its chunks', { held: [{ ...full.held[0]!, chunks: 17 }] }],
    ['a CID that is none', { held: [{ ...full.held[0]!, cid: 'bafy' }] }],
    ['too many models', { models: Array.from({ length: reportLimits.models + 1 }, () => full.models[1]!) }],
    ['a message that is too long', { problems: [{ reason: 'Long', message: 'x'.repeat(reportLimits.message + 1) }] }],
    [
      'a whole of over 16 KiB',
      { held: Array.from({ length: 5 }, () => ({ ...full.held[0]!, chunks: 32_768, bitmap: new Uint8Array(4096) })) },
    ],
    ['another version', { v: 2 as 1 }],
  ])('with %s is neither sent nor taken', (_what, wrong) => {
    const bad = { ...full, ...wrong };
    expect(() => encodeReport(bad)).toThrow(MalformedError);
    let bytes: Uint8Array;
    try {
      bytes = dagCbor.encode(bad);
    } catch {
      return; // DAG-CBOR itself has no infinity.
    }
    expect(() => decodeReport(bytes)).toThrow(MalformedError);
  });
});

describe('hostile bytes', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.constant(new Uint8Array(15_000).fill(0x81)),
    fc.constant(Uint8Array.of(0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
    fc.constant(Uint8Array.of(0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff)),
    fc.anything({ maxDepth: 4 }).map((value) => {
      try {
        return dagCbor.encode(value);
      } catch {
        return new Uint8Array();
      }
    }),
    // A good report with one field replaced by anything.
    fc.tuple(fc.constantFrom(...Object.keys(full)), fc.anything({ maxDepth: 2 })).map(([key, value]) => {
      try {
        return dagCbor.encode({ ...full, [key]: value });
      } catch {
        return new Uint8Array();
      }
    }),
  );

  it.each<[string, (b: Uint8Array) => unknown]>([
    ['report', decodeReport],
    ['hello', decodeHello],
    ['reply', decodeReply],
  ])('are a %s or are refused, nothing else', (_what, decode) => {
    fc.assert(
      fc.property(bytes, (b) => {
        try {
          decode(b);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('never pollute the prototype of what is decoded', () => {
    const evil = dagCbor.encode({ ...full, ['__proto__']: { admin: true } });
    expect((decodeReport(evil) as { admin?: boolean }).admin).toBeUndefined();
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('a hello', () => {
  const mine = { versions: [1], network: 'birds/flock', seq: 3, charter: cid, clock: 5 };

  it('is read back as it was written', () => {
    expect(decodeHello(encodeHello(mine))).toEqual(mine);
  });

  it('of another network, or without a common version, says why they cannot go on', () => {
    expect(mismatch(mine, mine)).toBeUndefined();
    expect(mismatch(mine, { ...mine, versions: [2, 1] })).toBeUndefined();
    expect(mismatch(mine, { ...mine, network: 'birds/other' })?.code).toBe('wrong-network');
    expect(mismatch(mine, { ...mine, versions: [2] })?.code).toBe('no-common-version');
  });

  it('names a charter that replaces another in one direction only', () => {
    const head = fc.record({ seq: fc.nat(3), charter: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(head, head, (a, b) => {
        const same = a.seq === b.seq && a.charter === b.charter;
        expect(Number(replaces(a, b)) + Number(replaces(b, a))).toBe(same ? 0 : 1);
      }),
    );
  });
});

describe('a reply', () => {
  it('is read back as it was written', () => {
    for (const reply of [
      { kind: 'ok', bytes: Uint8Array.of(1, 2) },
      { kind: 'refused', code: 'busy', message: 'later' },
      { kind: 'failed', message: 'broke' },
    ] as const) {
      expect(decodeReply(encodeReply(reply))).toEqual(reply);
    }
  });
});
