import { MalformedError } from '../codec/index.ts';
import { type Certificate, verifyCertificate, votesOf } from './certificate.ts';
import type { CertifierComponents, MessageOutcome, ModelRules, Verdict } from './certifier-parts.ts';
import { evidenceOf } from './evidence.ts';
import {
  dueHeight,
  HEIGHTS_BACK,
  type Height,
  type HeldProposal,
  hasFailed,
  isHeight,
  isNear,
  type ModelState,
  newHeight,
  newModel,
  nextStep,
} from './heights.ts';
import { decodeVotesMessage, encodeVotesMessage, type Proposal, type VotesMessage } from './messages.ts';
import type { SignedVote, Vote } from './vote.ts';

/**
 * A version's life on one validator: proposed, scored, voted for, certified. Knows no network: messages come in by `handle`, time
 * by `tick` (call it about once a second), ages by `advance`.
 *
 * Rules: heights are the multiples of `everyAge`. A height opens when our age reaches it or somebody proposes for it. The peers take
 * turns of `slotMs` in the order of a rendezvous hash; a proposal waits here until its proposer's turn has come. A validator votes
 * once a height, for the first acceptable proposal, never for a height below one it voted for, and not for heights further than one
 * above its own age (or a liar could burn all heights below a far one). A height nobody certifies in time is skipped. Votes that
 * reach the quorum make a certificate; one heard from others is as good once verified. Certified ages only grow.
 *
 * What makes two certificates at one height impossible is not here but in the signer (one vote a key) and the quorum (> 1/2).
 */
export class Certifier {
  readonly #c: CertifierComponents;
  readonly #models = new Map<string, ModelState>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #slotMs: number;
  readonly #resendMs: number;
  readonly #announceMs: number;
  #stopped = false;

  constructor(components: CertifierComponents) {
    this.#c = components;
    this.#slotMs = components.slotMs ?? 10_000;
    this.#resendMs = components.resendMs ?? 2_000;
    this.#announceMs = components.announceMs ?? 30_000;
    for (const certificate of components.known ?? []) {
      const state = this.#state(certificate.model);
      if (certificate.age > (state.latest?.age ?? -1)) state.latest = certificate;
    }
  }

  /** The newest certificate of a model. */
  latest(model: string): Certificate | undefined {
    return this.#models.get(model)?.latest;
  }

  /** Our own model has reached an age. */
  advance(model: string, age: number): void {
    if (this.#stopped || this.#c.rules(model) === undefined) return;
    const state = this.#state(model);
    state.age = Math.max(state.age, age);
    this.#work(state);
  }

  /** A message of the topic `votes`. `author` is who signed the gossip message. */
  handle(bytes: Uint8Array, author: string): MessageOutcome {
    if (this.#stopped) return 'ignored';
    let message: VotesMessage;
    try {
      message = decodeVotesMessage(bytes);
    } catch (error) {
      if (error instanceof MalformedError) return 'malformed';
      throw error;
    }
    switch (message.kind) {
      case 'proposal':
        return this.#heardProposal(message.proposal, author);
      case 'vote':
        return this.#heardVote(message.signed);
      case 'certificate':
        return this.#heardCertificate(message.certificate);
    }
  }

  /** Time has passed: turns change, lost messages are sent again. */
  tick(): void {
    if (this.#stopped) return;
    for (const state of this.#models.values()) {
      if (this.#c.rules(state.model) === undefined) {
        state.heights.clear(); // what was certified is not forgotten: the charter may only be late
        continue;
      }
      const { pending } = state;
      if (pending !== undefined) {
        state.pending = undefined;
        this.#heardCertificate(pending);
      }
      this.#work(state);
      this.#resend(state);
      this.#announce(state);
    }
  }

  /** Settles when nothing is being built, scored, signed or sent. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.idle();
  }

  #heardProposal(proposal: Proposal, author: string): MessageOutcome {
    const rules = this.#c.rules(proposal.model);
    if (rules === undefined || proposal.network !== this.#c.network) return 'ignored';
    if (author !== proposal.proposer) return 'forged';
    if (!this.#c.members().some(({ peerId }) => peerId === author)) return 'ignored';
    if (!isHeight(proposal.age, rules)) return 'ignored';
    const state = this.#state(proposal.model);
    if (this.#isLate(state, proposal.age)) return 'ignored';
    if (!isNear(state, proposal.age, rules)) return 'ignored';
    const height = this.#height(state, proposal.age);
    if (!height.proposals.has(author)) height.proposals.set(author, { proposal, state: 'waiting' });
    this.#work(state);
    return 'taken';
  }

  #heardVote(signed: SignedVote): MessageOutcome {
    const { vote } = signed;
    const rules = this.#c.rules(vote.model);
    if (rules === undefined || vote.network !== this.#c.network) return 'ignored';
    if (!isHeight(vote.age, rules)) return 'ignored';
    const state = this.#state(vote.model);
    if (!isNear(state, vote.age, rules)) return 'ignored';
    this.#isLate(state, vote.age);
    return this.#count(state, rules, signed);
  }

  #heardCertificate(certificate: Certificate): MessageOutcome {
    const rules = this.#c.rules(certificate.model);
    if (rules === undefined || certificate.network !== this.#c.network) return 'ignored';
    const state = this.#state(certificate.model);
    const { latest } = state;
    if (latest !== undefined && certificate.age < latest.age) return 'ignored';
    if (latest?.age === certificate.age && latest.version === certificate.version) return 'ignored';
    const check = verifyCertificate(certificate, this.#c.members(), rules);
    if (!check.ok) {
      if (certificate.charterSeq <= this.#c.charterSeq()) return check.why === 'bad-signature' ? 'forged' : 'ignored';
      state.pending = certificate;
      return 'taken';
    }
    if (latest?.age === certificate.age) {
      this.#report(latest, certificate);
      return 'taken';
    }
    this.#certified(state, certificate);
    return 'taken';
  }

  /** Count a vote, ours or another's; make the certificate when it was the last one needed. */
  #count(state: ModelState, rules: ModelRules, signed: SignedVote): MessageOutcome {
    const members = this.#c.members();
    const outcome = state.tally.add(signed, members);
    if (outcome.kind === 'bad-signature') return 'forged';
    if (outcome.kind === 'double-vote') this.#c.onEvidence?.(outcome.evidence);
    if (outcome.kind !== 'counted') return outcome.kind === 'double-vote' ? 'taken' : 'ignored';
    const { age, version } = signed.vote;
    if (age <= (state.latest?.age ?? 0)) return 'taken';
    const certificate = state.tally.certify(age, version, members, rules, this.#c.charterSeq());
    if (certificate !== undefined) {
      this.#certified(state, certificate);
      this.#send({ v: 1, kind: 'certificate', certificate });
    }
    return 'taken';
  }

  #certified(state: ModelState, certificate: Certificate): void {
    state.latest = certificate;
    state.toldAt = this.#c.clock.now();
    for (const age of state.heights.keys()) if (age <= certificate.age) state.heights.delete(age);
    const every = this.#c.rules(state.model)?.everyAge ?? 1;
    state.tally.prune(certificate.age - HEIGHTS_BACK * every);
    this.#c.onCertified(certificate);
    this.#work(state);
  }

  /** Two certificates for one height: everybody who signed both leaves evidence. */
  #report(one: Certificate, other: Certificate): void {
    const votes = new Map(votesOf(one).map((signed) => [signed.vote.voter, signed]));
    for (const signed of votesOf(other)) {
      const first = votes.get(signed.vote.voter);
      const evidence = first === undefined ? undefined : evidenceOf(first, signed);
      if (evidence !== undefined) this.#c.onEvidence?.(evidence);
    }
  }

  /** Open the height of our age, propose when it is our turn, look at proposals whose turn has come. */
  #work(state: ModelState): void {
    const rules = this.#c.rules(state.model);
    const members = this.#c.members();
    if (rules === undefined || this.#stopped || !members.some(({ peerId }) => peerId === this.#c.self.peerId)) return;
    const { self, clock } = this.#c;
    const at = { now: clock.now(), slotMs: this.#slotMs, self: self.peerId, members, rules };
    for (const height of state.heights.values()) if (hasFailed(state, height, at)) state.heights.delete(height.age);
    const due = dueHeight(state, rules);
    if (due !== undefined) this.#height(state, due);
    for (const height of [...state.heights.values()].sort((a, b) => a.age - b.age)) {
      const step = nextStep(state, height, at);
      if (step.kind === 'vote') this.#vote(state, height, rules, step.proposal);
      else if (step.kind === 'score') this.#score(state, height, step.held);
      else if (step.kind === 'propose') this.#propose(state, height);
    }
  }

  #propose(state: ModelState, height: Height): void {
    height.own = 'building';
    this.#task(`propose a version of model ${state.model} at age ${height.age}`, async () => {
      let version: string | undefined;
      try {
        version = await this.#c.propose(state.model, height.age);
      } finally {
        height.own = 'none';
      }
      if (version === undefined || !this.#isOpen(state, height)) return;
      const { network, self } = this.#c;
      const proposal: Proposal = { network, model: state.model, age: height.age, version, proposer: self.peerId };
      height.own = proposal;
      height.sentAt = this.#c.clock.now();
      this.#send({ v: 1, kind: 'proposal', proposal });
      height.proposals.set(self.peerId, { proposal, state: 'waiting' });
      this.#work(state);
    });
  }

  #score(state: ModelState, height: Height, held: HeldProposal): void {
    held.state = 'scoring';
    const { proposal } = held;
    this.#task(`score ${proposal.version} of model ${state.model} at age ${height.age}`, async () => {
      let verdict: Verdict = 'later';
      try {
        verdict = await this.#c.score(proposal);
      } finally {
        held.state = verdict === 'accept' ? 'accepted' : verdict === 'reject' ? 'rejected' : 'waiting';
      }
      if (verdict !== 'later' && this.#isOpen(state, height)) this.#work(state); // 'later' waits for the next tick
    });
  }

  #vote(state: ModelState, height: Height, rules: ModelRules, { model, age, version }: Proposal): void {
    height.vote = 'signing';
    this.#task(`sign a vote for ${version} of model ${model} at age ${age}`, async () => {
      const vote: Vote = { v: 1, network: this.#c.network, model, age, version, voter: this.#c.self.stakeKey };
      let signature: Uint8Array;
      try {
        signature = await this.#c.sign(vote);
      } catch (error) {
        const refused = error instanceof Error && 'code' in error && error.code === 'DoubleVote';
        height.vote = refused ? 'refused' : 'none';
        if (refused) state.votedAge = Math.max(state.votedAge, age);
        throw error;
      }
      const signed = { vote, signature };
      height.vote = signed;
      height.sentAt = this.#c.clock.now();
      state.votedAge = Math.max(state.votedAge, age);
      this.#send({ v: 1, kind: 'vote', signed });
      this.#count(state, rules, signed);
    });
  }

  #resend(state: ModelState): void {
    const now = this.#c.clock.now();
    for (const height of state.heights.values()) {
      if (now - height.sentAt < this.#resendMs) continue;
      height.sentAt = now;
      if (typeof height.own === 'object') this.#send({ v: 1, kind: 'proposal', proposal: height.own });
      if (typeof height.vote === 'object') this.#send({ v: 1, kind: 'vote', signed: height.vote });
    }
  }

  /** The members take turns in telling the latest certificate: about one message every `announceMs`, as their clocks differ. */
  #announce(state: ModelState): void {
    const peers = this.#c
      .members()
      .map(({ peerId }) => peerId)
      .sort();
    const now = this.#c.clock.now();
    const turn = Math.floor(now / this.#announceMs);
    if (peers.length === 0 || peers[turn % peers.length] !== this.#c.self.peerId) return;
    if (now - state.toldAt >= this.#announceMs) this.#tell(state);
  }

  /** Whether a message speaks of a height that is certified already; its sender is behind and gets the certificate. */
  #isLate(state: ModelState, age: number): boolean {
    if (age > (state.latest?.age ?? 0)) return false;
    if (this.#c.clock.now() - state.toldAt >= this.#resendMs) this.#tell(state);
    return true;
  }

  #tell(state: ModelState): void {
    if (state.latest === undefined) return;
    state.toldAt = this.#c.clock.now();
    this.#send({ v: 1, kind: 'certificate', certificate: state.latest });
  }

  #isOpen(state: ModelState, height: Height): boolean {
    return !this.#stopped && state.heights.get(height.age) === height;
  }

  #height(state: ModelState, age: number): Height {
    const known = state.heights.get(age);
    if (known !== undefined) return known;
    const height = newHeight(age, this.#c.clock.now());
    state.heights.set(age, height);
    return height;
  }

  #state(model: string): ModelState {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    const state = newModel(model);
    this.#models.set(model, state);
    return state;
  }

  #send(message: VotesMessage): void {
    this.#task(`publish a ${message.kind}`, () => this.#c.publish(encodeVotesMessage(message)));
  }

  #task(what: string, run: () => Promise<void>): void {
    const task: Promise<void> = run()
      .catch((error: unknown) => this.#c.onFailure?.(what, error))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }
}
