import type { Answer } from '../../apiserver/harness.ts';
import { type Mutation, pathText } from './mutation.ts';

/** What is wrong with a refusal: it is one of the spec, and it names the field (or one that goes with it). */
export function refusalProblems({ code, body }: Answer, { field }: Mutation): readonly string[] {
  const message = String(body?.message ?? '');
  if (![400, 422, 500].includes(code)) return [`was answered ${code}: ${message}`];
  const steps = field.path.filter((step) => step !== '0');
  // A choice is refused by the name of what it belongs to: "data.source must set exactly one of ...".
  const own = field.path[0] === 'template' ? steps.slice(2) : steps;
  const named = (own.length === 0 ? steps : own).some((step) => message.includes(step));
  return named ? [] : [`was refused without a word of ${pathText(field)}: ${message.slice(0, 300)}`];
}
