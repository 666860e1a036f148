import type { Certificate } from './certificate.ts';
import type { CertifyingMember, ModelRules } from './certifier-parts.ts';
import type { Proposal } from './messages.ts';
import { proposerOrder } from './proposer-order.ts';
import { Tally } from './tally.ts';
import type { SignedVote } from './vote.ts';

/** How many heights around our own are listened to. */
export const HEIGHTS_BACK = 8;
const HEIGHTS_AHEAD = 32;

/** A proposal that was heard. `waiting`: for its proposer's turn, or to be looked at again. */
export interface HeldProposal {
  readonly proposal: Proposal;
  state: 'waiting' | 'scoring' | 'accepted' | 'rejected';
}

/** One height of one model, while nobody has certified it. */
export interface Height {
  readonly age: number;
  readonly openedAt: number;
  /** By proposer; the first of each counts. */
  readonly proposals: Map<string, HeldProposal>;
  own: 'none' | 'building' | Proposal;
  vote: 'none' | 'signing' | 'refused' | SignedVote;
  /** When our proposal or vote last went out. */
  sentAt: number;
}

/** What a certifier knows of one model. */
export interface ModelState {
  readonly model: string;
  readonly tally: Tally;
  readonly heights: Map<number, Height>;
  /** Our own model's age. */
  age: number;
  latest: Certificate | undefined;
  /** A certificate that our charter cannot judge yet. */
  pending: Certificate | undefined;
  /** The highest age we voted for. */
  votedAge: number;
  /** When the latest certificate was last told, by us or to us. */
  toldAt: number;
}

/** Time and membership, as a decision about a height needs them. */
export interface Standpoint {
  readonly now: number;
  readonly slotMs: number;
  readonly self: string;
  readonly members: readonly CertifyingMember[];
  readonly rules: ModelRules;
}

export function newModel(model: string): ModelState {
  return {
    model,
    tally: new Tally(),
    heights: new Map(),
    age: 0,
    latest: undefined,
    pending: undefined,
    votedAge: 0,
    toldAt: Number.NEGATIVE_INFINITY,
  };
}

export function newHeight(age: number, now: number): Height {
  return { age, openedAt: now, proposals: new Map(), own: 'none', vote: 'none', sentAt: Number.NEGATIVE_INFINITY };
}

export type Step =
  | { readonly kind: 'wait' | 'propose' }
  | { readonly kind: 'score'; readonly held: HeldProposal }
  | { readonly kind: 'vote'; readonly proposal: Proposal };

const WAIT: Step = { kind: 'wait' };

/**
 * What there is to do about a height. Pure.
 * - vote for an accepted proposal, once, and never below an age that was voted for
 * - else look at the proposal whose proposer's turn came first, if the height is no further than one above our age
 * - else propose, when our turn has come and all that was proposed in turn was rejected
 */
export function nextStep(state: ModelState, height: Height, at: Standpoint): Step {
  if (height.vote !== 'none' || height.age <= state.votedAge) return WAIT;
  const peers = at.members.map(({ peerId }) => peerId);
  const inTurn = proposerOrder(state.model, height.age, peers).slice(0, slot(height, at) + 1);
  const proposals = inTurn.flatMap((peer) => height.proposals.get(peer) ?? []);
  if (proposals.some((held) => held.state === 'scoring')) return WAIT;
  const accepted = proposals.find((held) => held.state === 'accepted');
  if (accepted !== undefined) return { kind: 'vote', proposal: accepted.proposal };
  const held = proposals.find((one) => one.state === 'waiting');
  if (held !== undefined) return height.age <= state.age + at.rules.everyAge ? { kind: 'score', held } : WAIT;
  const isOurs = height.own === 'none' && height.age <= state.age && inTurn.includes(at.self);
  return isOurs ? { kind: 'propose' } : WAIT;
}

/** The height that our age asks for and that is not open, voted for or certified yet. None while an earlier one is open: one after another. */
export function dueHeight(state: ModelState, { everyAge }: ModelRules): number | undefined {
  const own = Math.floor(state.age / everyAge) * everyAge;
  if (own <= Math.max(0, state.latest?.age ?? 0, state.votedAge)) return undefined;
  return [...state.heights.keys()].some((age) => age <= own) ? undefined : own;
}

/** Everybody had a turn; or four had one and the model has grown to the next height meanwhile. */
export function hasFailed(state: ModelState, height: Height, at: Standpoint): boolean {
  const turns = slot(height, at);
  const grown = state.age >= height.age + at.rules.everyAge;
  return turns > at.members.length || (grown && turns >= Math.min(4, at.members.length));
}

/** Whether an age is one we listen to: far ones would let a liar fill our memory. */
export function isNear(state: ModelState, age: number, { everyAge }: ModelRules): boolean {
  const here = Math.max(state.age, state.latest?.age ?? 0);
  return age >= here - HEIGHTS_BACK * everyAge && age <= here + HEIGHTS_AHEAD * everyAge;
}

/** Whether an age is a height under the rules of now. One that is not may be honest: the rules may have changed on the way. */
export function isHeight(age: number, { everyAge }: ModelRules): boolean {
  return age > 0 && age % everyAge === 0;
}

function slot(height: Height, { now, slotMs }: Standpoint): number {
  return Math.floor((now - height.openedAt) / slotMs);
}
