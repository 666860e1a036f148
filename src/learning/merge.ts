/** How a received model is merged into one's own: `spec.learning.merge`. */
export interface MergeRule {
  readonly kind: 'ageWeighted' | 'mean' | 'limited';
  /** Updates; for `limited`. */
  readonly limit?: number | undefined;
}

/**
 * Share of the received model in the merged one, 0..1, from the ages of both models.
 * - `ageWeighted`: t_r / (t_k + t_r) (Hegedus, Danner, Jelasity 2021), so a newcomer takes over what the fleet knows;
 * - `mean`: a half, whatever the ages;
 * - `limited`: as ageWeighted, but ages further apart than the limit keep the older model whole.
 * Two untrained models merge by halves.
 */
export function mergeShare(rule: MergeRule, ownAge: number, receivedAge: number): number {
  if (rule.kind === 'mean') return 0.5;
  if (rule.kind === 'limited' && Math.abs(ownAge - receivedAge) > (rule.limit ?? 0)) {
    return receivedAge > ownAge ? 1 : 0;
  }
  return ownAge + receivedAge === 0 ? 0.5 : receivedAge / (ownAge + receivedAge);
}

/** own <- (1 - share) own + share received, in place. */
export function mergeInto(own: Float32Array, received: Float32Array, share: number): void {
  for (let i = 0; i < own.length; i++) {
    const w = own[i] as number;
    own[i] = w + share * ((received[i] as number) - w);
  }
}
