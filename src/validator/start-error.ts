/** When thrown, a validator could not start: its message says what was tried, on what, why it failed and what to do. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/**
 * Does one step of a start.
 * @param what after "could not", with the file, folder or address
 * @param fix what a person does about it
 * @throws StartError
 */
export async function step<T>(what: string, fix: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new StartError(`could not ${what}: ${reasonOf(cause)}; ${fix}`, { cause });
  }
}

/** The system's own word (EADDRINUSE, EACCES, ...) where there is one among the causes, else what was thrown. */
function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const line = at.message.split('\n').find((words) => /\bE[A-Z]{3,}\b/.test(words));
    if (line !== undefined) return line.trim();
  }
  return error instanceof Error ? error.message : String(error);
}
