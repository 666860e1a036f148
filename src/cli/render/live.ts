/** A block of lines that is redrawn in place on a terminal. */

const csi = '\u001b[';

/** What a live block needs of a terminal (`process.stdout` fits). */
export interface Terminal {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

/** Draws lines over the lines it drew before. Lines that do not fit the window are left out, and said so. */
export class LiveBlock {
  readonly #terminal: Terminal;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Replaces the block by `lines`, in one write so that nothing flickers. */
  draw(lines: readonly string[]): void {
    // A terminal that does not know its height says 0.
    const rows = this.#terminal.rows === 0 ? undefined : this.#terminal.rows;
    this.#replace(withinRows(lines, (rows ?? 24) - 1));
  }

  /** Draws for the last time: all of `lines`, however low the window is. What is written next goes below. */
  finish(lines: readonly string[]): void {
    this.#replace(lines);
    this.#drawn = 0;
  }

  #replace(lines: readonly string[]): void {
    const up = this.#drawn > 0 ? `${csi}${this.#drawn}A` : '';
    const body = lines.map((line) => `${csi}2K${line}\n`).join('');
    this.#terminal.write(`${up}\r${body}${csi}0J`);
    this.#drawn = lines.length;
  }
}

function withinRows(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const kept = Math.max(1, rows - 1);
  return [...lines.slice(0, kept), `… ${lines.length - kept} more lines: make the window taller`];
}
