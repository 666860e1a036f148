import type { Random } from './random.ts';
import type { Relation, Way } from './strategy.ts';

/** Who there is, at one moment. Peers go by their ids. */
export interface View {
  /** All validators of the model, this one included, in an order that all share. */
  readonly members: readonly string[];
  /** Those of the others that are connected. */
  readonly neighbours: readonly string[];
  /** Whether a message can be sent: connected, and none is on its way already. */
  readonly isFree: (peer: string) => boolean;
  /** Milliseconds, never going back; everybody counts from another moment. */
  readonly now: number;
  /** Milliseconds since the epoch: about the same for all. */
  readonly time: number;
}

/** One message, and to whom. */
export interface Dispatch {
  readonly way: Way;
  readonly to: readonly string[];
}

/** Whom to send to: the half of a strategy beside the network. Knows no weights. */
export interface Routing {
  /** What is to be sent now. */
  next(view: View): readonly Dispatch[];
  /** What a sender is to this validator. */
  relation(from: string, view: View): Relation;
  /** A message of this sender was looked at. @param isJudged whether it fitted, so that its model was judged, well or badly */
  heard(from: string, isJudged: boolean, now: number): void;
}

export interface RoutingInit {
  /** This validator. */
  readonly self: string;
  /** Uid of the Model: seeds what all validators must agree on. */
  readonly uid: string;
  /** For what each chooses for itself. */
  readonly random: Random;
  /** Mean wait between two exchanges, milliseconds. */
  readonly waitMilliseconds: number;
}
