import { type Condition, REASONS, type Reason, type Verdict, withCondition } from '../api/index.ts';

/** A verdict before it is known which generation it is about. */
export type Judgement = Omit<Verdict, 'observedGeneration' | 'reason'> & { readonly reason: Reason };

export const yes = (type: string, reason: Reason, message: string): Judgement => ({
  type,
  status: 'True',
  reason,
  message,
});
export const no = (type: string, reason: Reason, message: string): Judgement => ({
  type,
  status: 'False',
  reason,
  message,
});
export const unknown = (type: string, reason: Reason, message: string): Judgement => ({
  type,
  status: 'Unknown',
  reason,
  message,
});

/** The conditions after these judgements, made about this generation of the spec. @param now unix ms */
export function judged(
  before: readonly Condition[] | undefined,
  judgements: readonly Judgement[],
  generation: number | undefined,
  now: number,
): Condition[] {
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  const list = judgements.reduce<readonly Condition[]>(
    (conditions, judgement) =>
      withCondition(
        conditions,
        { ...judgement, ...(generation === undefined ? {} : { observedGeneration: generation }) },
        at,
      ),
    before ?? [],
  );
  return [...list];
}

/** Reasons that only a person can mend: nothing changes until the spec, a Secret or the cluster does. */
const STALLED: ReadonlySet<string> = new Set<Reason>([
  REASONS.KeyMissing,
  REASONS.KeyMalformed,
  REASONS.KeyInUse,
  REASONS.NameTaken,
  REASONS.SpecInvalid,
  REASONS.Paused,
  REASONS.Forbidden,
  REASONS.ImagePullFailed,
  REASONS.VolumeFull,
  REASONS.NoGpuFree,
  REASONS.DataUnreachable,
  REASONS.DataDigestMismatch,
  REASONS.DataMalformed,
  REASONS.DataTruncated,
  REASONS.DataShapeMismatch,
  REASONS.DataFormatUnknown,
  REASONS.DataTooLarge,
  REASONS.LabelOutOfRange,
  REASONS.ArchitectureInvalid,
  REASONS.CapacityExceeded,
  REASONS.UpgradePaused,
]);

/**
 * Reconciling and Stalled (kstatus) as they follow from Ready, so that `kubectl wait`, Helm and Argo tell "not yet"
 * from "never, as things are".
 */
export function progress(ready: Judgement): readonly Judgement[] {
  const stalled = ready.status !== 'True' && STALLED.has(ready.reason);
  const reconciling = ready.status !== 'True' && !stalled;
  return [
    reconciling
      ? yes('Reconciling', ready.reason, ready.message)
      : no('Reconciling', stalled ? ready.reason : REASONS.Reconciled, ''),
    stalled ? yes('Stalled', ready.reason, ready.message) : no('Stalled', REASONS.Reconciled, ''),
  ];
}
