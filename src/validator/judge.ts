import type { Logger } from 'pino';
import { FetchStalledError, type Manifest, WrongBytesError } from '../chunks/index.ts';
import { MalformedError } from '../codec/index.ts';
import { type Learner, ModelError, type Snapshot } from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';
import type { Proposal, Verdict } from '../trust/index.ts';

/**
 * A proposal is accepted when its loss on the shared probe is at most this much worse than our own: validators differ
 * by what they learned last, more so where each knows only some labels; garbage differs by far more.
 */
const LOSS_FACTOR = 1.5;
const LOSS_MARGIN = 0.25;

/** How long the bytes of a proposal may take to come before it is looked at again later. */
export const LOOK_MILLISECONDS = 10_000;

export interface JudgeParts {
  readonly model: (uid: string) => CharterModel | undefined;
  readonly learner: (uid: string) => Pick<Learner, 'score' | 'snapshot'> | undefined;
  /** Fetches a proposed version; undefined where the volume has no room for it. */
  readonly open: (proposal: Proposal) => Promise<OpenedVersion | undefined>;
  readonly log: Logger;
}

/** A version's manifest, and its weights when they are asked for. */
export interface OpenedVersion {
  readonly manifest: Manifest;
  snapshot(): Promise<Snapshot>;
}

/** Looks at a proposal: is it what it says, and is it about as good as our own model? `later`: cannot say yet. */
export async function judge(proposal: Proposal, parts: JudgeParts): Promise<Verdict> {
  const { log } = parts;
  const model = parts.model(proposal.model);
  const learner = parts.learner(proposal.model);
  if (model === undefined || learner === undefined) return 'later';
  try {
    const opened = await parts.open(proposal);
    if (opened === undefined) return 'later';
    if (!describes(opened.manifest, proposal)) return 'reject';
    const theirs = await learner.score(await opened.snapshot());
    const ours = await learner.score(await learner.snapshot());
    // NaN is above every limit.
    if (theirs.loss <= ours.loss * LOSS_FACTOR + LOSS_MARGIN) return 'accept';
    log.warn(
      { model: model.name, age: proposal.age, proposer: proposal.proposer, theirs: theirs.loss, ours: ours.loss },
      'rejects a version: its loss is too far above our own',
    );
    return 'reject';
  } catch (error) {
    // Its own bytes are no version of this model, whoever serves them.
    if (error instanceof MalformedError || error instanceof WrongBytesError || error instanceof ModelError)
      return 'reject';
    if (!(error instanceof FetchStalledError)) log.debug({ err: error }, 'cannot look at a proposal yet');
    return 'later';
  }
}

const describes = (manifest: Manifest, { model, network, age }: Proposal): boolean =>
  manifest.model === model && manifest.network === network && manifest.age === age;
