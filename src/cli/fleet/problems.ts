/** Which conditions a person should hear of: a problem is what does not mend itself, or takes too long to. Pure. */
import { COMMON_CONDITIONS, type Conditioned, findCondition, REASONS } from '../../api/index.ts';
import type { Listed } from './listed.ts';

/** Something that keeps one object from being as it should, in the words of its condition. */
export interface Problem {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** A stable noun: VolumeFull, ImagePullFailed, ... */
  readonly reason: string;
  /** What is wrong, on what, and what to do. */
  readonly message: string;
  /** Since when, RFC 3339. */
  readonly since: string;
}

/** Steps on the way to Ready: never a problem. */
const ordinary: ReadonlySet<string> = new Set<string>([
  REASONS.Reconciled,
  REASONS.Pending,
  REASONS.InProgress,
  REASONS.Paused,
  REASONS.Deleting,
  REASONS.Draining,
  REASONS.Drained,
  REASONS.BelowTarget,
  REASONS.TargetReached,
  REASONS.NoVersion,
  REASONS.ValidatorsNotReady,
]);

/** What every start passes through; a problem only when it lasts. */
const passing: ReadonlySet<string> = new Set<string>([
  REASONS.PodNotReady,
  REASONS.VolumePending,
  REASONS.Unschedulable,
  REASONS.NoReports,
  REASONS.NoPeers,
  REASONS.TooFewValidators,
  REASONS.QuorumLost,
  REASONS.UnderReplicated,
]);

/** What is wrong with a model itself, though validators suffer from it. */
const ofModels: ReadonlySet<string> = new Set<string>([
  REASONS.DataUnreachable,
  REASONS.DataDigestMismatch,
  REASONS.DataMalformed,
  REASONS.DataTruncated,
  REASONS.DataShapeMismatch,
  REASONS.DataFormatUnknown,
  REASONS.DataTooLarge,
  REASONS.LabelOutOfRange,
  REASONS.ArchitectureInvalid,
]);

/** How long a passing state may last, milliseconds. */
export const patience = 60_000;

interface Judged extends Conditioned {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string | undefined; readonly name: string };
}

/**
 * Problems of all listed objects, models first. One that several kinds of objects suffer from is told where it begins:
 * a fleet is not ready because its validators are not.
 * @param now milliseconds since the epoch
 */
export function problemsOf(listed: Listed, now: number): readonly Problem[] {
  const objects: readonly Judged[] = [...listed.models, ...listed.fleets, ...listed.nodes, ...listed.shards];
  const all = objects.flatMap((object) => problemOf(object, now) ?? []);
  return all.filter((problem) => {
    const origin = ofModels.has(problem.reason) ? 'Model' : 'ValidatorNode';
    const begins = all.some(
      (one) => one.kind === origin && one.reason === problem.reason && one.namespace === problem.namespace,
    );
    return !begins || problem.kind === origin;
  });
}

function problemOf(object: Judged, now: number): Problem | undefined {
  const ready = findCondition(object, COMMON_CONDITIONS.Ready);
  const stalled = findCondition(object, COMMON_CONDITIONS.Stalled);
  const bad = stalled?.status === 'True' ? stalled : ready?.status === 'True' ? undefined : ready;
  if (bad === undefined || ordinary.has(bad.reason)) return undefined;
  if (passing.has(bad.reason) && now - Date.parse(bad.lastTransitionTime) < patience) return undefined;
  return {
    kind: object.kind,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    reason: bad.reason,
    message: bad.message,
    since: bad.lastTransitionTime,
  };
}
