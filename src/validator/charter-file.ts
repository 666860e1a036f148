import { readFile } from 'node:fs/promises';
import { errorCode } from '../disk/index.ts';

/**
 * Reads a file again and again and hands on its bytes when they changed. A mounted ConfigMap is replaced by renaming
 * a link, up to a minute after the object changed, and may not be there yet: so it is read, not watched.
 */
export async function followFile(
  path: string,
  parts: {
    readonly everyMilliseconds: number;
    readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
    readonly onBytes: (bytes: Uint8Array) => Promise<void>;
    readonly onError: (error: unknown) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  let last: Buffer | undefined;
  while (!signal.aborted) {
    try {
      const bytes = await readFile(path, { signal });
      if (last === undefined || !bytes.equals(last)) {
        last = bytes;
        await parts.onBytes(bytes);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (errorCode(error) !== 'ENOENT') parts.onError(error);
    }
    await parts.sleep(parts.everyMilliseconds, signal).catch(() => undefined);
  }
}
