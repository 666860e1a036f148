/** How steps that run beside each other are shown: a list that redraws itself on a terminal, plain lines elsewhere. */
import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import type { Io } from '../io.ts';
import { duration } from '../render/duration.ts';
import { cut } from '../render/table.ts';

const nameWidth = 10;
const textWidth = 68;
/** Room for the mark, the spaces and the longest duration. */
const aroundText = 30;
const quietFor = 10_000;

/** What a step says while it runs. */
export interface Report {
  /** What it is doing now; replaces what was said before. */
  readonly say: (line: string) => void;
  /** A fact that stays in sight, such as how long the first run takes and why. */
  readonly note: (line: string) => void;
  /** It has what it waited for: the time it took begins now. */
  readonly begin: () => void;
}

/** One step. `run` resolves to the line that is left of it. */
export interface Step {
  readonly name: string;
  readonly run: (report: Report) => Promise<string>;
}

/** ` ✔ cluster    kind "murmuration", 3 nodes        27 s` without the mark, at most `columns` wide. Pure. */
export function stepLine(name: string, text: string, milliseconds: number, columns = 100): string {
  const room = Math.max(20, Math.min(textWidth, columns - aroundText));
  return `${name.padEnd(nameWidth)} ${cut(text, columns - aroundText).padEnd(room)} ${duration(milliseconds)}`;
}

/**
 * Runs all steps at the same time; each waits for those it needs by itself. Rejects with the first failure once the
 * picture says so; `abort` is called at once then, so that the others end.
 */
export async function runSteps(steps: readonly Step[], io: Io, abort: (reason: unknown) => void): Promise<void> {
  // listr2 draws only where stdout is a terminal too.
  if (io.err.isTTY === true && io.out.isTTY === true) await drawSteps(steps, io, abort);
  else await tellSteps(steps, io, abort);
}

async function drawSteps(steps: readonly Step[], io: Io, abort: (reason: unknown) => void): Promise<void> {
  const failures: unknown[] = [];
  const list = new Listr(
    steps.map((step) => ({
      title: step.name,
      task: async (_context: unknown, task: { title: string; output: string }): Promise<void> => {
        let begun = io.now();
        const notes: string[] = [];
        const report: Report = {
          begin: () => {
            begun = io.now();
          },
          say: (line) => {
            task.output = [...notes, line].join('\n');
          },
          note: (line) => {
            if (!notes.includes(line)) notes.push(line);
            task.output = notes.join('\n');
          },
        };
        try {
          task.title = stepLine(step.name, await step.run(report), io.now() - begun, io.err.columns);
        } catch (error) {
          if (failures.length === 0) abort(error);
          failures.push(error);
          task.title = failures.length === 1 ? step.name : `${step.name.padEnd(nameWidth)} not finished`;
          throw error;
        }
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      // The first Ctrl-C is ours: it asks the steps to end.
      registerSignalListeners: false,
      rendererOptions: {
        showErrorMessage: false,
        collapseErrors: false,
        formatOutput: 'truncate',
        // Progress goes to stderr, so that a result on stdout can be piped.
        logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stdout) }),
      },
    },
  );
  await list.run();
  if (failures.length > 0) throw failures[0];
}

async function tellSteps(steps: readonly Step[], io: Io, abort: (reason: unknown) => void): Promise<void> {
  const failures: unknown[] = [];
  await Promise.all(
    steps.map(async (step) => {
      let begun = io.now();
      let told = Number.NEGATIVE_INFINITY;
      const notes = new Set<string>();
      const tell = (mark: string, line: string): void => void io.err.write(` ${mark} ${line}\n`);
      const report: Report = {
        begin: () => {
          begun = io.now();
        },
        say: (line) => {
          if (io.now() - told < quietFor) return;
          told = io.now();
          tell('·', `${step.name.padEnd(nameWidth)} ${line}`);
        },
        note: (line) => {
          if (notes.has(line)) return;
          notes.add(line);
          tell('·', `${step.name.padEnd(nameWidth)} ${line}`);
        },
      };
      try {
        tell('✔', stepLine(step.name, await step.run(report), io.now() - begun, Number.POSITIVE_INFINITY));
      } catch (error) {
        if (failures.length === 0) {
          tell('✖', step.name);
          abort(error);
        }
        failures.push(error);
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}
