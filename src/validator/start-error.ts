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
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`could not ${what}: ${why}; ${fix}`, { cause });
  }
}
