import { MalformedError } from '../codec/index.ts';
import { encodeReport, type Report } from '../overlay/index.ts';

/** Length to which sentences are cut where the whole does not fit. */
const SHORT = 120;

/**
 * Encodes a report so that gossip takes it (less than 16 KiB). What does not fit is left out, the least missed first:
 * buffer maps from the end of the list, long sentences, reputation from the end. A map that is not told only means
 * that others keep their copies longer.
 * @throws MalformedError when a report is not of its shape, whatever its size
 */
export function encodeFitting(report: Report): Uint8Array {
  let candidate = report;
  for (;;) {
    try {
      return encodeReport(candidate);
    } catch (error) {
      const smaller = error instanceof MalformedError ? smallerThan(candidate) : undefined;
      if (smaller === undefined) throw error;
      candidate = smaller;
    }
  }
}

/** One step smaller; undefined when there is nothing left to leave out. */
function smallerThan(report: Report): Report | undefined {
  const { held, problems, models, reputation } = report;
  const isLong = [...problems, ...models.flatMap(({ problem }) => problem ?? [])].some(
    ({ message }) => message.length > SHORT,
  );
  if (held.length > models.length) return { ...report, held: held.slice(0, -1) };
  if (isLong) {
    return {
      ...report,
      problems: problems.map(shortened),
      models: models.map((model) =>
        model.problem === undefined ? model : { ...model, problem: shortened(model.problem) },
      ),
    };
  }
  if (reputation.length > 0) return { ...report, reputation: reputation.slice(0, Math.floor(reputation.length / 2)) };
  if (held.length > 0) return { ...report, held: held.slice(0, -1) };
  return undefined;
}

const shortened = <P extends { readonly message: string }>(problem: P): P => ({
  ...problem,
  message: problem.message.slice(0, SHORT),
});
