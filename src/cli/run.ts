/** From the words of a command line to an exit code. */
import { CommanderError } from 'commander';
import { type ExitCode, exitCodeOf, exitCodes, explain } from './errors.ts';
import type { Io } from './io.ts';
import { createProgram } from './program.ts';

/** Runs one command to its end. Never throws: what goes wrong is explained on `io.err`. */
export async function run(words: readonly string[], io: Io): Promise<ExitCode> {
  const program = createProgram(io);
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    // commander has already said what is wrong with the command line, or printed the help or version asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.misused;
    io.err.write(`${explain(error, words.includes('--debug'))}\n`);
    return exitCodeOf(error);
  }
}
