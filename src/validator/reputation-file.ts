import type { Logger } from 'pino';
import { ReputationBook } from '../trust/index.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

/** What is held of the peers, from before a restart; an empty book where the file is missing or cannot be read. */
export async function loadReputation(file: string, monotonic: () => number, log: Logger): Promise<ReputationBook> {
  const clock = { now: monotonic };
  const bytes = await readStateFile(file);
  if (bytes === undefined) return new ReputationBook(clock);
  try {
    return ReputationBook.fromJSON(JSON.parse(Buffer.from(bytes).toString()), clock);
  } catch (error) {
    log.warn({ err: error, file }, 'reputation cannot be read; starts with an empty book');
    return new ReputationBook(clock);
  }
}

export const saveReputation = (file: string, book: ReputationBook): Promise<void> =>
  writeStateFile(file, Buffer.from(JSON.stringify(book)));
