import { beforeAll, describe, expect, it } from 'vitest';
import type { Snapshot } from '../../../src/learning/index.ts';
import { type Certificate, type CertifyingMember, encodeCertificate } from '../../../src/trust/index.ts';
import { type CatchUpParts, catchUp } from '../../../src/validator/catch-up.ts';
import { encodeLatestReply } from '../../../src/validator/wire.ts';
import { certify, keptLog, peer, staker, version } from './fixtures.ts';
import { digits } from './flock.ts';

const model = digits({ versions: { everyAge: 200, minimumVoters: 2 } });
const never = new AbortController().signal;
const [anna, bert, carl] = [peer(1), peer(2), peer(3)] as const;

describe('catching up', () => {
  let validators: CertifyingMember[];
  let at200: Certificate;
  let at400: Certificate;
  let ofAnother: Certificate;

  beforeAll(() => {
    const stakers = [peer(0), anna, bert, carl].map((peerId) => staker(peerId));
    validators = stakers.map(({ member }) => member);
    at200 = certify(version(1, 200), stakers.slice(0, 3));
    at400 = certify(version(1, 400), stakers.slice(1));
    const built = version(1, 400);
    ofAnother = certify({ ...built, manifest: { ...built.manifest, model: 'another' } }, stakers);
  });

  /** A validator that starts; `know` tells what each neighbour answers, `arrive` who is connected at the n-th look. */
  function starting(know: Record<string, Certificate | 'silent' | undefined>, arrive: readonly (readonly string[])[]) {
    const { log, lines } = keptLog();
    let now = 0;
    let looks = 0;
    const told: number[] = [];
    const asked: string[] = [];
    const parts: CatchUpParts = {
      overlay: {
        peerId: peer(0),
        request: async (who) => {
          asked.push(who);
          const known = know[who];
          if (known === 'silent') throw new Error('no answer');
          return encodeLatestReply(known && encodeCertificate(known));
        },
      },
      latest: () => undefined,
      onNewer: ({ age }) => void told.push(age),
      validators: () => validators,
      peers: () => arrive[Math.min(looks++, arrive.length - 1)] ?? [],
      open: async ({ age }): Promise<Snapshot> => ({ age, tensors: [] }),
      sleep: async (milliseconds) => {
        now += milliseconds;
      },
      monotonic: () => now,
      log,
    };
    return { parts, told, asked, lines, waited: () => now };
  }

  it('takes the newest version that a neighbour knows, and tells the certifier', async () => {
    const { parts, told } = starting({ [anna]: at200, [bert]: at400 }, [[anna, bert]]);
    expect((await catchUp(model, 0, parts, never))?.age).toBe(400);
    expect(told).toEqual([400]);
  });

  it('keeps its own checkpoint when that is as old as what is certified', async () => {
    const { parts } = starting({ [anna]: at200 }, [[anna]]);
    expect(await catchUp(model, 200, parts, never)).toBeUndefined();
    expect((await catchUp(model, 199, starting({ [anna]: at200 }, [[anna]]).parts, never))?.age).toBe(200);
  });

  it('asks on when the first neighbour is a newcomer too', async () => {
    const { parts, asked } = starting({ [anna]: undefined, [bert]: at200 }, [[anna], [anna], [anna, bert]]);
    expect((await catchUp(model, 0, parts, never))?.age).toBe(200);
    expect(asked).toEqual([anna, bert]);
  });

  it('begins when more than half of the others know of none', async () => {
    const { parts, waited } = starting({ [anna]: undefined, [bert]: undefined }, [[anna, bert]]);
    expect(await catchUp(model, 0, parts, never)).toBeUndefined();
    expect(waited()).toBe(0);
  });

  it('begins after eight seconds when nobody comes or answers, and at once when it is alone', async () => {
    const silent = starting({ [anna]: 'silent' }, [[anna]]);
    expect(await catchUp(model, 0, silent.parts, never)).toBeUndefined();
    expect(silent.waited()).toBe(8000);
    const alone = starting({}, [[]]);
    await catchUp(model, 0, { ...alone.parts, validators: () => validators.slice(0, 1) }, never);
    expect(alone.waited()).toBe(0);
  });

  it('begins with what more than a third of the weight of now signed, when the fleet has grown since', async () => {
    const grown = (by: number) => [...validators, ...Array.from({ length: by }, (_, i) => staker(peer(4 + i)).member)];
    for (const [by, age] of [
      [4, 200],
      [5, undefined],
    ] as const) {
      const { parts } = starting({ [anna]: at200 }, [[anna]]);
      const begun = await catchUp(model, 0, { ...parts, validators: () => grown(by) }, never);
      expect(begun?.age).toBe(age);
    }
  });

  it("believes no certificate with a signature that is not its voter's", async () => {
    const [first, ...others] = at400.signatures;
    const forged = { ...at400, signatures: [{ ...first!, signature: others[0]!.signature }, ...others] };
    const { parts } = starting({ [anna]: forged }, [[anna]]);
    expect(await catchUp(model, 0, parts, never)).toBeUndefined();
  });

  it('believes no certificate of too few voters, or for another model', async () => {
    const few = { ...at400, signatures: at400.signatures.slice(0, 1) };
    const { parts, told } = starting({ [anna]: few, [bert]: ofAnother }, [[anna, bert]]);
    expect(await catchUp(model, 0, parts, never)).toBeUndefined();
    expect(told).toEqual([]);
  });

  it('learns from neighbours when the version is not to be had, and says so', async () => {
    const { parts, lines } = starting({ [anna]: at200 }, [[anna]]);
    const open = async (): Promise<Snapshot> => {
      throw new Error('3 blocks are missing');
    };
    expect(await catchUp(model, 0, { ...parts, open }, never)).toBeUndefined();
    expect(lines.at(-1)?.msg).toMatch(/learns from neighbours instead/);
  });
});
