/** Index of the greatest logit: the class that is told. */
export function greatest(logits: Float32Array): number {
  let at = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] as number) > (logits[at] as number)) at = i;
  return at;
}

function logSumExp(logits: Float32Array): number {
  const top = logits[greatest(logits)] as number;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return top + Math.log(sum);
}

/** Cross-entropy of a label under the logits, in nats. */
export function crossEntropy(logits: Float32Array, label: number): number {
  return logSumExp(logits) - (logits[label] as number);
}

/** Hinge loss of a label: how far its logit fails to be above every other one by 1. */
export function hinge(logits: Float32Array, label: number): number {
  let other = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (i !== label) other = Math.max(other, logits[i] as number);
  return Math.max(0, 1 + other - (logits[label] as number));
}

export function softmax(logits: Float32Array): number[] {
  const total = logSumExp(logits);
  return Array.from(logits, (logit) => Math.exp(logit - total));
}
