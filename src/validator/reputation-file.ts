import type { Logger } from 'pino';
import { readIfThere, realDisk, replaceFile } from '../disk/index.ts';
import { ReputationBook } from '../trust/index.ts';

/** What is held of the peers, from before a restart; an empty book where the file is missing or cannot be read. */
export async function loadReputation(file: string, monotonic: () => number, log: Logger): Promise<ReputationBook> {
  const clock = { now: monotonic };
  const bytes = await readIfThere(realDisk, file);
  if (bytes === undefined) return new ReputationBook(clock);
  try {
    return ReputationBook.fromJSON(JSON.parse(Buffer.from(bytes).toString()), clock);
  } catch (error) {
    log.warn({ err: error, file }, 'reputation cannot be read; starts with an empty book');
    return new ReputationBook(clock);
  }
}

export const saveReputation = (file: string, book: ReputationBook): Promise<void> =>
  replaceFile(realDisk, file, Buffer.from(JSON.stringify(book)));
