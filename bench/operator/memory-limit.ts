import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the chart allows the operator's container. bytes */
const LIMIT_BYTES = 1024 * 1024 * 1024;

/** Where control groups for memory may be: of the first version, of the second. */
const HIERARCHIES = [
  { folder: '/sys/fs/cgroup/memory', file: 'memory.limit_in_bytes' },
  { folder: '/sys/fs/cgroup', file: 'memory.max' },
] as const;

/** A control group with the memory limit of a pod: who runs in it has Node size its heap by it, and is killed beyond. */
export interface MemoryLimit {
  /** The command that runs this one inside of it. */
  command(command: string, args: readonly string[]): readonly [string, readonly string[]];
  /** After everybody in it has ended. */
  remove(): void;
}

/** @returns undefined where this machine does not let us make one (not root, or no such hierarchy) */
export function memoryLimit(name: string): MemoryLimit | undefined {
  for (const { folder, file } of HIERARCHIES) {
    const group = join(folder, `murmuration-${process.pid}-${name}`);
    try {
      mkdirSync(group);
      writeFileSync(join(group, file), String(LIMIT_BYTES));
    } catch {
      continue;
    }
    return {
      command: (command, args) => [
        'sh',
        ['-c', 'echo $$ > "$0" && exec "$@"', join(group, 'cgroup.procs'), command, ...args],
      ],
      remove: () => rmdirSync(group),
    };
  }
  return undefined;
}
