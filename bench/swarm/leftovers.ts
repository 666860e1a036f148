import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = 'murmuration-swarm-';

/** A folder of this process below `parent`; those of benches that were killed are removed first. */
export async function folderIn(parent: string): Promise<string> {
  for (const name of readdirSync(parent)) {
    if (name.startsWith(PREFIX) && isDead(Number(name.split('-')[2]))) {
      // What still writes there ends in a moment, since nobody speaks to it any more.
      rmSync(join(parent, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  }
  return mkdtemp(join(parent, `${PREFIX}${process.pid}-`));
}

/** Whether no bench of this process id runs; the id may have gone to some other program since. */
export function isDead(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('bench/swarm/main');
  } catch {
    return true;
  }
}
