import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../../src/learning/random.ts';
import {
  type Certificate,
  Certifier,
  type CertifierComponents,
  certify,
  decodeVotesMessage,
  type Evidence,
  encodeVotesMessage,
  proposerOrder,
  type Vote,
  voteDigest,
} from '../../../src/trust/index.ts';
import { key, versionCid, vote } from './fixtures.ts';

const MODEL = 'm';
const RULES = { everyAge: 100, quorum: '2/3', minimumVoters: 1 };

interface FleetOptions {
  readonly count?: number;
  /** Share of messages that get lost, per receiver. */
  readonly loss?: number;
  readonly random?: () => number;
  /** Change the components of one validator. */
  readonly change?: (index: number, components: CertifierComponents) => Partial<CertifierComponents>;
  /** These neither hear nor speak. */
  readonly dead?: readonly number[];
}

interface Validator {
  readonly certifier: Certifier;
  readonly certified: Certificate[];
  readonly evidence: Evidence[];
}

/** Validators on one bus, with time and loss in the test's hand. */
class Fleet {
  readonly validators: Validator[] = [];
  readonly members;
  readonly sent: Uint8Array[] = [];
  time = 0;
  loss: number;
  readonly #random: () => number;
  readonly #dead: readonly number[];
  #mail: { readonly from: number; readonly to: number; readonly bytes: Uint8Array }[] = [];
  #versions = 0;

  constructor({ count = 4, loss = 0, random = seeded(1), change = () => ({}), dead = [] }: FleetOptions = {}) {
    this.loss = loss;
    this.#random = random;
    this.#dead = dead;
    this.members = Array.from({ length: count }, (_, index) => ({
      peerId: `peer-${index}`,
      stakeKey: key(index).publicKey,
      weight: 1,
    }));
    for (let index = 0; index < count; index++) {
      const certified: Certificate[] = [];
      const evidence: Evidence[] = [];
      const base: CertifierComponents = {
        network: 'testnet',
        self: this.members[index]!,
        members: () => this.members,
        charterSeq: () => 1,
        rules: (model) => (model === MODEL ? RULES : undefined),
        sign: protectedSigner(index),
        publish: async (bytes) => {
          this.sent.push(bytes);
          for (let to = 0; to < count; to++) if (to !== index) this.#mail.push({ from: index, to, bytes });
        },
        propose: async () => versionCid(++this.#versions),
        score: async () => 'accept',
        clock: { now: () => this.time },
        onCertified: (certificate) => certified.push(certificate),
        onEvidence: (one) => evidence.push(one),
      };
      this.validators.push({ certifier: new Certifier({ ...base, ...change(index, base) }), certified, evidence });
    }
  }

  get alive(): readonly Validator[] {
    return this.validators.filter((_, index) => !this.#dead.includes(index));
  }

  advance(age: number): void {
    for (const { certifier } of this.alive) certifier.advance(MODEL, age);
  }

  /** Deliver what was sent, in some order, until all is quiet. */
  async settle(): Promise<void> {
    for (;;) {
      await Promise.all(this.validators.map(({ certifier }) => certifier.idle()));
      const mail = this.#mail;
      if (mail.length === 0) return;
      this.#mail = [];
      for (const { from, to, bytes } of mail.sort(() => this.#random() - 0.5)) {
        if (this.#dead.includes(from) || this.#dead.includes(to) || this.#random() < this.loss) continue;
        this.validators[to]!.certifier.handle(bytes, `peer-${from}`);
      }
    }
  }

  async seconds(count: number): Promise<void> {
    for (let second = 0; second < count; second++) {
      this.time += 1_000;
      for (const { certifier } of this.alive) certifier.tick();
      await this.settle();
    }
  }

  tell(index: number, from: string, message: Parameters<typeof encodeVotesMessage>[0]): string {
    return this.validators[index]!.certifier.handle(encodeVotesMessage(message), from);
  }

  order(height: number): number[] {
    return proposerOrder(
      MODEL,
      height,
      this.members.map(({ peerId }) => peerId),
    ).map((peer) => Number(peer.slice(5)));
  }

  messages(kind: 'proposal' | 'vote' | 'certificate') {
    return this.sent.map((bytes) => decodeVotesMessage(bytes)).filter((message) => message.kind === kind);
  }
}

/** What the signer does: one vote a height, ages only grow. */
function protectedSigner(index: number): (vote: Vote) => Promise<Uint8Array> {
  let last: Vote | undefined;
  return async (wanted) => {
    if (last !== undefined && (wanted.age < last.age || (wanted.age === last.age && wanted.version !== last.version)))
      throw Object.assign(new Error('refused'), { code: 'DoubleVote' });
    last = wanted;
    return key(index).sign(voteDigest(wanted));
  };
}

function expectOneVersionPerHeight(validators: readonly Validator[]): void {
  const versions = new Map<number, string>();
  for (const { certified } of validators) {
    const ages = certified.map(({ age }) => age);
    expect(ages).toEqual([...new Set(ages)].sort((a, b) => a - b));
    for (const { age, version } of certified) {
      expect(versions.get(age) ?? version).toBe(version);
      versions.set(age, version);
    }
  }
}

describe('four validators', () => {
  it('certify the version of a height, each hearing of it exactly once', async () => {
    const fleet = new Fleet();
    fleet.advance(105);
    await fleet.settle();
    await fleet.seconds(60);
    for (const { certifier, certified } of fleet.validators) {
      expect(certified.map(({ age }) => age)).toEqual([100]);
      expect(certifier.latest(MODEL)).toEqual(certified[0]);
    }
    expectOneVersionPerHeight(fleet.validators);
  });

  it('ask their signers once each', async () => {
    const asked: number[] = [];
    const fleet: Fleet = new Fleet({
      change: (index, { sign }) => ({
        sign: (wanted) => {
          asked.push(index);
          if (asked.length < 20) fleet.validators[index]!.certifier.tick(); // time goes on while the signer thinks
          return sign(wanted);
        },
      }),
    });
    for (let age = 100; age < 140; age += 10) fleet.advance(age);
    await fleet.seconds(5);
    expect(asked.sort()).toEqual([0, 1, 2, 3]);
  });

  it('send again what was lost, within the turn of the first proposer', async () => {
    const fleet = new Fleet({ loss: 1 });
    fleet.advance(100);
    await fleet.seconds(4);
    fleet.loss = 0;
    await fleet.seconds(4);
    for (const { certified } of fleet.validators) expect(certified).toHaveLength(1);
    expect(
      new Set(fleet.messages('proposal').map((message) => message.kind === 'proposal' && message.proposal.proposer))
        .size,
    ).toBe(1);
  });

  it('do nothing below the first height', async () => {
    const fleet = new Fleet();
    fleet.advance(99);
    await fleet.seconds(30);
    expect(fleet.sent).toEqual([]);
  });

  it('certify height after height while the model grows', async () => {
    const fleet = new Fleet();
    for (let age = 0; age <= 520; age += 20) {
      fleet.advance(age);
      await fleet.seconds(1);
    }
    for (const { certified } of fleet.validators)
      expect(certified.map(({ age }) => age)).toEqual([100, 200, 300, 400, 500]);
  });

  it('pass a dead proposer over after its turn', async () => {
    const [first] = new Fleet().order(100);
    const fleet = new Fleet({ dead: [first!] });
    fleet.advance(100);
    await fleet.seconds(9);
    expect(fleet.messages('proposal')).toEqual([]);
    await fleet.seconds(6);
    for (const { certified } of fleet.alive) expect(certified.map(({ age }) => age)).toEqual([100]);
  });

  it('do not certify with two of four dead, and do once one is back', async () => {
    const dead = [0, 1];
    const fleet = new Fleet({ dead });
    fleet.advance(100);
    await fleet.seconds(30);
    expect(fleet.alive.flatMap(({ certified }) => certified)).toEqual([]);
    dead.pop();
    fleet.advance(210);
    await fleet.seconds(120);
    for (const { certifier } of fleet.alive) expect(certifier.latest(MODEL)?.age).toBe(200);
    expectOneVersionPerHeight(fleet.alive);
  });

  it('vote for the next in turn when the first proposal is rejected by all', async () => {
    const [first] = new Fleet().order(100);
    const fleet = new Fleet({
      change: () => ({ score: async ({ proposer }) => (proposer === `peer-${first}` ? 'reject' : 'accept') }),
    });
    fleet.advance(100);
    await fleet.seconds(30);
    const { certified } = fleet.validators[0]!;
    expect(certified).toHaveLength(1);
    const proposals = fleet
      .messages('proposal')
      .flatMap((message) => (message.kind === 'proposal' ? [message.proposal] : []));
    expect(proposals.find(({ version }) => version === certified[0]!.version)!.proposer).not.toBe(`peer-${first}`);
  });

  it('look again at a proposal whose bytes were not there yet', async () => {
    let looks = 0;
    const fleet = new Fleet({ change: () => ({ score: async () => (++looks > 8 ? 'accept' : 'later') }) });
    fleet.advance(100);
    await fleet.seconds(15);
    expectOneVersionPerHeight(fleet.validators);
    expect(fleet.validators[0]!.certified).toHaveLength(1);
  });

  it('give a height a second chance when all had their turn and nobody voted', async () => {
    let good = false;
    const fleet = new Fleet({ change: () => ({ score: async () => (good ? 'accept' : 'reject') }) });
    fleet.advance(100);
    await fleet.seconds(60);
    good = true;
    await fleet.seconds(60);
    for (const { certified } of fleet.validators) expect(certified.map(({ age }) => age)).toEqual([100]);
  });

  it('try again when the signer could not be reached', async () => {
    let failures = 0;
    const fleet = new Fleet({
      change: (_, { sign }) => ({
        sign: (wanted) => (failures++ < 6 ? Promise.reject(new Error('signer is starting')) : sign(wanted)),
      }),
    });
    fleet.advance(100);
    await fleet.seconds(10);
    expect(fleet.validators[0]!.certified).toHaveLength(1);
  });

  it('tell a validator that slept what was certified meanwhile', async () => {
    const dead = [2];
    const fleet = new Fleet({ dead });
    fleet.advance(300);
    await fleet.seconds(60);
    dead.pop();
    await fleet.seconds(130);
    expect(fleet.validators[2]!.certified.map(({ age }) => age)).toEqual([300]);
  });

  it('certify over a bus that loses messages, and never two versions of a height', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.constantFrom(0.1, 0.3, 0.5),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 5, maxLength: 12 }),
        async (seed, loss, growth) => {
          const random = seeded(seed);
          const fleet = new Fleet({
            loss,
            random,
            change: () => ({ score: async () => (random() < 0.2 ? 'later' : random() < 0.1 ? 'reject' : 'accept') }),
          });
          let age = 90;
          for (const more of growth) {
            age += more;
            for (const { certifier } of fleet.validators) certifier.advance(MODEL, age - Math.floor(random() * 50));
            await fleet.seconds(5);
          }
          expectOneVersionPerHeight(fleet.validators);
          fleet.advance(1_050);
          await fleet.seconds(90);
          if (!fleet.validators.some(({ certified }) => certified.at(-1)?.age === 1_000)) {
            fleet.advance(1_150); // the height was split: it is skipped, and the next one has its turn
            await fleet.seconds(120);
          }
          fleet.loss = 0;
          await fleet.seconds(150);
          expectOneVersionPerHeight(fleet.validators);
          const latest = fleet.validators.map(({ certifier }) => certifier.latest(MODEL));
          expect(new Set(latest.map((certificate) => certificate?.version)).size).toBe(1);
          expect(latest[0]!.age).toBeGreaterThanOrEqual(1_000);
          expect(fleet.validators.flatMap(({ evidence }) => evidence)).toEqual([]);
        },
      ),
      { numRuns: 8 },
    );
  }, 120_000);
});

describe('a certifier', () => {
  const proposal = (from: number, age: number, version = 1) =>
    ({
      v: 1,
      kind: 'proposal',
      proposal: { network: 'testnet', model: MODEL, age, version: versionCid(version), proposer: `peer-${from}` },
    }) as const;

  it('holds a proposal back until its proposer has its turn', async () => {
    const fleet = new Fleet({ dead: [0, 1, 2, 3], change: () => ({ propose: async () => undefined }) });
    const [, second] = fleet.order(100);
    const observer = fleet.validators.findIndex((_, index) => index !== second);
    const { certifier } = fleet.validators[observer]!;
    certifier.advance(MODEL, 100);
    expect(fleet.tell(observer, `peer-${second}`, proposal(second!, 100))).toBe('taken');
    await certifier.idle();
    expect(fleet.messages('vote')).toEqual([]);
    fleet.time += 10_000;
    certifier.tick();
    await certifier.idle();
    expect(fleet.messages('vote')).toHaveLength(1);
  });

  it('does not vote for a height far beyond its own age, or a liar could burn all heights below', async () => {
    const fleet = new Fleet({ dead: [0, 1, 2, 3] });
    const { certifier } = fleet.validators[0]!;
    certifier.advance(MODEL, 50);
    for (const height of [300, 2_000, 1_000_000]) {
      const [first] = fleet.order(height);
      fleet.tell(0, `peer-${first}`, proposal(first!, height));
    }
    await certifier.idle();
    expect(fleet.messages('vote')).toEqual([]);
  });

  it.each<[string, (fleet: Fleet) => string, string]>([
    ['a proposal in the name of another', (fleet) => fleet.tell(0, 'peer-1', proposal(2, 100)), 'forged'],
    ['a proposal by who is no member', (fleet) => fleet.tell(0, 'peer-9', proposal(9, 100)), 'ignored'],
    ['a proposal between two heights', (fleet) => fleet.tell(0, 'peer-1', proposal(1, 150)), 'ignored'],
    [
      'a vote that is not signed',
      (fleet) =>
        fleet.tell(0, 'peer-1', { v: 1, kind: 'vote', signed: { ...vote(key(1)), signature: new Uint8Array(64) } }),
      'forged',
    ],
    [
      'a vote of a stranger',
      (fleet) => fleet.tell(0, 'peer-1', { v: 1, kind: 'vote', signed: vote(key(9)) }),
      'ignored',
    ],
    [
      'a model that is not here',
      (fleet) => fleet.tell(0, 'peer-1', { v: 1, kind: 'vote', signed: vote(key(1), { model: 'x' }) }),
      'ignored',
    ],
    [
      'bytes that are nothing',
      (fleet) => fleet.validators[0]!.certifier.handle(new Uint8Array([9]), 'peer-1'),
      'malformed',
    ],
  ])('takes no notice of %s but says what it was', (_what, tell, outcome) => {
    expect(tell(new Fleet())).toBe(outcome);
  });

  it('takes a certificate that others made, if it is good, and no older one after it', () => {
    const fleet = new Fleet();
    const make = (age: number, voters: number[]): Certificate => {
      const own = voters.map((index) => fleet.members[index]!);
      const votes = voters.map((index) => vote(key(index), { age }));
      return certify(votes, own, RULES, 1)!;
    };
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate: make(5_000, [1, 2, 3]) })).toBe('taken');
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate: make(4_000, [1, 2, 3]) })).toBe('ignored');
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate: make(6_000, [1]) })).toBe('ignored');
    expect(fleet.validators[0]!.certified.map(({ age }) => age)).toEqual([5_000]);
  });

  it('tells the certificate to who still votes for its height', async () => {
    const fleet = new Fleet();
    const certificate = certify(
      [1, 2, 3].map((index) => vote(key(index))),
      fleet.members,
      RULES,
      1,
    )!;
    fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate });
    fleet.tell(0, 'peer-0', { v: 1, kind: 'vote', signed: vote(key(0)) });
    expect(fleet.messages('certificate')).toEqual([]); // everybody was told just now
    fleet.time += 2_000;
    for (let copy = 0; copy < 3; copy++) fleet.tell(0, 'peer-0', { v: 1, kind: 'vote', signed: vote(key(0)) });
    expect(fleet.messages('certificate')).toHaveLength(1);
  });

  it('waits for the newer charter that a certificate speaks of', () => {
    let seq = 1;
    let members: readonly { peerId: string; stakeKey: string; weight: number }[] = [];
    const fleet = new Fleet({ change: () => ({ members: () => members, charterSeq: () => seq }) });
    const certificate = certify(
      [1, 2, 3].map((index) => vote(key(index))),
      fleet.members,
      RULES,
      2,
    )!;
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate })).toBe('taken');
    expect(fleet.validators[0]!.certified).toEqual([]);
    members = fleet.members;
    seq = 2;
    fleet.validators[0]!.certifier.tick();
    expect(fleet.validators[0]!.certified).toHaveLength(1);
  });

  it('reports who signed two versions of one height, from votes and from certificates', () => {
    const fleet = new Fleet();
    fleet.tell(0, 'peer-1', { v: 1, kind: 'vote', signed: vote(key(1)) });
    fleet.tell(0, 'peer-1', { v: 1, kind: 'vote', signed: vote(key(1), { version: versionCid(2) }) });
    expect(fleet.validators[0]!.evidence.map(({ a }) => a.vote.voter)).toEqual([key(1).publicKey]);
    for (const version of [1, 2]) {
      const certificate = certify(
        [1, 2, 3].map((index) => vote(key(index), { version: versionCid(version) })),
        fleet.members,
        RULES,
        1,
      )!;
      fleet.tell(3, 'peer-1', { v: 1, kind: 'certificate', certificate });
    }
    expect(fleet.validators[3]!.evidence).toHaveLength(3);
    expect(fleet.validators[3]!.certified).toHaveLength(1);
  });

  it('knows after a restart what was certified before', async () => {
    const fleet = new Fleet();
    const known = [
      certify(
        [0, 1, 2].map((index) => vote(key(index))),
        fleet.members,
        RULES,
        1,
      )!,
    ];
    const again = new Fleet({ change: () => ({ known }) });
    expect(again.validators[0]!.certifier.latest(MODEL)).toEqual(known[0]);
    again.advance(100);
    await again.seconds(20);
    expect(again.messages('vote')).toEqual([]);
  });

  it('remembers what was certified while the charter does not speak of the model', () => {
    let rules: typeof RULES | undefined;
    const certificate = certify(
      [0, 1, 2].map((index) => vote(key(index), { age: 300 })),
      new Fleet().members,
      RULES,
      1,
    )!;
    const fleet = new Fleet({ change: () => ({ rules: () => rules, known: [certificate] }) });
    const { certifier, certified } = fleet.validators[0]!;
    certifier.tick();
    rules = RULES;
    expect(certifier.latest(MODEL)).toEqual(certificate);
    const older = { ...certificate, age: 200 };
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate: older })).toBe('ignored');
    expect(certified).toEqual([]);
  });

  it('takes a certificate from before its heights were set otherwise', () => {
    const fleet = new Fleet();
    const certificate = certify(
      [0, 1, 2].map((index) => vote(key(index), { age: 70 })),
      fleet.members,
      RULES,
      1,
    )!;
    expect(fleet.tell(0, 'peer-1', { v: 1, kind: 'certificate', certificate })).toBe('taken');
    expect(fleet.validators[0]!.certified).toHaveLength(1);
  });

  it('that voted before its restart and is refused now leaves the height to the others', async () => {
    const refuse = (): Promise<never> => Promise.reject(Object.assign(new Error('refused'), { code: 'DoubleVote' }));
    const fleet = new Fleet({ change: (index) => (index === 0 ? { sign: refuse } : {}) });
    fleet.advance(100);
    await fleet.seconds(20);
    expect(fleet.validators[0]!.certified).toHaveLength(1);
    expect(fleet.validators[0]!.certified[0]!.signatures.map(({ voter }) => voter)).not.toContain(key(0).publicKey);
  });

  it('only follows when it is no member', async () => {
    const fleet = new Fleet({
      change: (index) => (index === 0 ? { self: { peerId: 'observer', stakeKey: key(9).publicKey } } : {}),
    });
    fleet.advance(100);
    await fleet.seconds(30);
    expect(fleet.validators[0]!.certified).toHaveLength(1);
    expect(
      fleet
        .messages('vote')
        .some((message) => message.kind === 'vote' && message.signed.vote.voter === key(9).publicKey),
    ).toBe(false);
  });

  it('says nothing more once stopped', async () => {
    const fleet = new Fleet();
    await fleet.validators[0]!.certifier.stop();
    fleet.validators[0]!.certifier.advance(MODEL, 100);
    expect(fleet.tell(0, 'peer-1', proposal(1, 100))).toBe('ignored');
    expect(fleet.sent).toEqual([]);
  });
});
