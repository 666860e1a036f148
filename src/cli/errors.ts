/** What a command ends with: four exit codes, and errors that say what was tried, on what, why it failed, what to do. */

/** Exit codes of every command; part of the interface. */
export const exitCodes = { done: 0, failed: 1, misused: 2, timedOut: 3 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** An end that a person can act on. `message` is a sentence: what was tried, on what, why it failed. `fix` is what to do. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly fix: string | undefined;

  constructor(exitCode: ExitCode, message: string, fix?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.fix = fix;
  }
}

/** It was tried and did not work. */
export const failed = (message: string, fix?: string, cause?: unknown): CommandError =>
  new CommandError(exitCodes.failed, message, fix, cause);

/** It was asked for in a way that cannot work. */
export const misused = (message: string, fix?: string): CommandError =>
  new CommandError(exitCodes.misused, message, fix);

/** It did not happen in time; it may still happen. */
export const timedOut = (message: string, fix?: string): CommandError =>
  new CommandError(exitCodes.timedOut, message, fix);

/** Why something failed, as one line: the message of an error with those of its causes, without a stack. */
export function reasonOf(error: unknown): string {
  const said: string[] = [];
  let at = error;
  for (let depth = 0; depth < 6 && at !== undefined && at !== null; depth += 1) {
    const text = at instanceof Error ? at.message || codeOf(at) || at.name : String(at);
    if (text !== '' && !said.some((earlier) => earlier.includes(text))) said.push(text);
    at = at instanceof AggregateError ? at.errors[0] : at instanceof Error ? at.cause : undefined;
  }
  return said.join(': ').replace(/\s*\n\s*/g, ' ');
}

/** `flock-0: the volume is full`, for a sentence that goes on after it. */
export const saidBy = (who: string, why: string): string => `${who}: ${why.replace(/\.$/, '')}`;

/** What a failed command prints on stderr: the reason, the fix on a line of its own, the stack only where asked for. */
export function explain(error: unknown, debug: boolean): string {
  const fix = error instanceof CommandError ? error.fix : undefined;
  const lines = [`murmur: ${error instanceof CommandError ? reasonWithCause(error) : reasonOf(error)}`];
  if (fix !== undefined) lines.push(`Fix: ${fix}`);
  if (debug && error instanceof Error) lines.push(stackOf(error));
  else if (isBug(error)) lines.push('Fix: this is a bug of murmur. Run it again with --debug and report what it says.');
  return lines.join('\n');
}

/** Exit code for whatever was thrown. */
export const exitCodeOf = (error: unknown): ExitCode =>
  error instanceof CommandError ? error.exitCode : exitCodes.failed;

/** Errors that the language throws: nobody wrote a sentence for a person there. */
function isBug(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return [TypeError, ReferenceError, RangeError, SyntaxError].some((builtin) => error.constructor === builtin);
}

function reasonWithCause(error: CommandError): string {
  const why = error.cause === undefined ? '' : reasonOf(error.cause);
  return why === '' || error.message.includes(why) ? error.message : `${error.message.replace(/[.:]$/, '')}: ${why}`;
}

function stackOf(error: Error, depth = 0): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error && depth < 6 ? `${own}\ncaused by: ${stackOf(error.cause, depth + 1)}` : own;
}

function codeOf(error: Error): string | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
