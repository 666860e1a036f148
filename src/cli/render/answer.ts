/** Predictions as people read them. Pure. */
import type { Answer } from '../predict/instances.ts';
import { measure, share } from './numbers.ts';
import { table } from './table.ts';

/** A line a row: the likeliest class, how likely it is, and the runner-up; the number itself for a single output. */
export function answerText(answer: Answer): readonly string[] {
  const rows = answer.predictions.map((outputs, index) => ({ row: index + 1, outputs }));
  if (rows.every((row) => row.outputs.length === 1)) {
    return table(
      [
        { head: 'ROW', cell: (row) => String(row.row) },
        { head: 'VALUE', cell: (row) => measure(row.outputs[0]) },
      ],
      rows,
    );
  }
  return table(
    [
      { head: 'ROW', cell: (row) => String(row.row) },
      { head: 'CLASS', cell: (row) => String(ranked(row.outputs)[0]?.label ?? '-') },
      { head: 'PROBABILITY', cell: (row) => share(ranked(row.outputs)[0]?.value) },
      {
        head: 'NEXT',
        cell: (row) => {
          const second = ranked(row.outputs)[1];
          return second === undefined ? '-' : `${second.label} (${share(second.value)})`;
        },
      },
    ],
    rows,
  );
}

function ranked(outputs: readonly number[]): readonly { readonly label: number; readonly value: number }[] {
  return outputs.map((value, label) => ({ label, value })).sort((a, b) => b.value - a.value);
}
