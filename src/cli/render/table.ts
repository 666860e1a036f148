/** Plain tables: a head in capitals, columns as wide as they need, two spaces between. Pure. */

/** One column: its head and what a row shows in it. Columns are left-aligned: names and numbers start where the head does. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
}

/** Lines of the table, head first, without trailing spaces; no line is longer than `width` characters. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number = Number.POSITIVE_INFINITY,
): readonly string[] {
  const cells = [columns.map((column) => column.head), ...rows.map((row) => columns.map((column) => column.cell(row)))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => [...(line[index] ?? '')].length)));
  return cells.map((line) =>
    cut(
      line
        .map((text, index) => pad(text, widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
      width,
    ),
  );
}

/** A line cut to `width` characters, with `…` where something is missing. */
export function cut(line: string, width: number): string {
  const characters = [...line];
  if (characters.length <= width) return line;
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - [...text].length));
}
