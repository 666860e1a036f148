import type { Certificate } from './certificate.ts';
import type { Evidence } from './evidence.ts';
import type { Proposal } from './messages.ts';
import type { QuorumRules, VotingMember } from './quorum.ts';
import type { Vote } from './vote.ts';

/** A validator whose vote counts. */
export interface CertifyingMember extends VotingMember {
  readonly peerId: string;
}

/** How one model is certified. */
export interface ModelRules extends QuorumRules {
  /** Heights are the multiples of this age. */
  readonly everyAge: number;
}

/** What a look at a proposal says. `later`: its bytes are not here yet, ask again. */
export type Verdict = 'accept' | 'reject' | 'later';

export interface CertifierComponents {
  readonly network: string;
  /** This peer. */
  readonly self: { readonly peerId: string; readonly stakeKey: string };
  /** The validators of the charter in force. Without `self` among them nothing is proposed or voted, only certificates are followed. */
  readonly members: () => readonly CertifyingMember[];
  readonly charterSeq: () => number;
  /** `undefined`: no such model here; its messages are ignored. */
  readonly rules: (model: string) => ModelRules | undefined;
  /** Sign through the signer. Rejects with an error whose `code` is `DoubleVote` when this height was voted for otherwise. */
  readonly sign: (vote: Vote) => Promise<Uint8Array>;
  /** Gossip on the topic `votes`. */
  readonly publish: (bytes: Uint8Array) => Promise<void>;
  /** Build the version of a height from the weights of now and keep its blocks; its name, or `undefined` when there is nothing to propose. */
  readonly propose: (model: string, height: number) => Promise<string | undefined>;
  /** Fetch a proposal's bytes and hold them against the probe. */
  readonly score: (proposal: Proposal) => Promise<Verdict>;
  /** Milliseconds, never going back. */
  readonly clock: { now(): number };
  /** Exactly once a (model, age), ages ascending. */
  readonly onCertified: (certificate: Certificate) => void;
  readonly onEvidence?: (evidence: Evidence) => void;
  /** What could not be done just now and is tried again at the next tick. */
  readonly onFailure?: (what: string, error: unknown) => void;
  /** How long a proposer's turn lasts before the next in order may propose. Default 10 s. */
  readonly slotMs?: number;
  /** How often proposals and votes of an uncertified height are sent again. Default 2 s. */
  readonly resendMs?: number;
  /** How often, in the whole network, the latest certificate is told to those who came late. Default 30 s. */
  readonly announceMs?: number;
  /** Certificates from before a restart. */
  readonly known?: readonly Certificate[];
}

/** What became of a message; `malformed` and `forged` count against its author. */
export type MessageOutcome = 'taken' | 'ignored' | 'malformed' | 'forged';
