import { REASONS } from '../api/index.ts';
import { BadRequest, Forbidden, Invalid } from '../kube/index.ts';

/** What the API server would not do, and only a person can mend: it ends in a condition instead of being retried. */
export interface Refusal {
  readonly reason: 'Forbidden' | 'SpecInvalid' | 'NameTaken';
  /** What was refused, why, and what to do. */
  readonly message: string;
}

/** The refusal that an error stands for; undefined where trying again may help. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Forbidden) {
    return {
      reason: REASONS.Forbidden,
      message: `${sentence(error)} Allow it, or change the spec so that it is not needed.`,
    };
  }
  // A malformed part of a pod comes from spec.podTemplate; everything else is ours to get right.
  if (error instanceof Invalid || error instanceof BadRequest) {
    return { reason: REASONS.SpecInvalid, message: `${sentence(error)} Correct the field of the spec that it names.` };
  }
  return undefined;
}

const sentence = ({ message }: Error): string => message.slice(0, 2_000).replace(/[.\s]*$/, '.');
