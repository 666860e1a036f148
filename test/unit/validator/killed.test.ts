import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../../src/learning/random.ts';
import { folder } from './fixtures.ts';

/** How often the process is killed: KILLS=100 for more than the short form. */
const KILLS = Number(process.env.KILLS ?? 15);
/** Updates between two checkpoints. */
const INTERVAL = 3;
const PROGRAM = fileURLToPath(new URL('./learning-process.ts', import.meta.url));

/** A process that learns, and what it has told until now. */
class Learning {
  readonly told: (readonly [what: string, ...rest: string[]])[] = [];
  errors = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #heard = Promise.withResolvers<void>();

  /** @param fileBlocks greatest file that the system lets it write, in blocks of the shell's `ulimit -f` */
  constructor(directory: string, fileBlocks?: number) {
    const program = [process.execPath, PROGRAM, directory, String(INTERVAL)];
    const limited = ['sh', '-c', `ulimit -f ${fileBlocks}; exec "$0" "$@"`, ...program];
    const [command = '', ...rest] = fileBlocks === undefined ? program : limited;
    const env = { ...process.env, NODE_COMPILE_CACHE: path.join(tmpdir(), 'murmuration-learning-process') };
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#closed = once(this.#child, 'close').then(() => this.#heard.resolve());
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.errors += text;
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const [what = '', ...rest] = line.split(' ');
      this.told.push([what, ...rest]);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  /** The numbers that were told with this word. */
  ages(what: string): number[] {
    return this.told.filter(([word]) => word === what).map(([, age]) => Number(age));
  }

  /** Waits until this was told so often. */
  async until(what: string, times = 1): Promise<void> {
    while (this.told.filter(([word]) => word === what).length < times) {
      if (this.#child.exitCode !== null) throw new Error(`it ended before it told ${what}: ${this.errors}`);
      await this.#heard.promise;
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

describe('a validator that is killed', { timeout: 60_000 + KILLS * 10_000 }, () => {
  it(`goes on from its last checkpoint, ${KILLS} times`, async () => {
    const directory = await folder();
    const random = seeded(KILLS);
    /** What was in each checkpoint, by its age. */
    const digests = new Map<string, string>();
    let saved = 0;
    let reached = 0;
    const seen = { whileSaving: 0, beforeLearning: 0, lost: [] as number[] };
    for (let kill = 0; kill <= KILLS; kill++) {
      const life = new Learning(directory);
      await life.until('loaded');
      const [, age = '', digest] = life.told.find(([what]) => what === 'loaded')!;
      expect(Number(age)).toBeGreaterThanOrEqual(saved);
      expect(reached - Number(age)).toBeLessThanOrEqual(INTERVAL);
      if (Number(age) > 0) expect(digest).toBe(digests.get(age));
      seen.lost.push(reached - Number(age));

      // A third of the kills at any moment of a life, the others at any moment of a save or just after it.
      if (random() < 0.33) {
        await pause(random() * 500);
      } else {
        await life.until('saving', 1 + Math.floor(random() * 4));
        await pause(random() * 4);
      }
      await life.kill();
      expect(life.told.filter(([what]) => what === 'unusable')).toEqual([]);
      for (const [what, of, is] of life.told) if (what === 'saving') digests.set(of!, is!);
      saved = Math.max(Number(age), ...life.ages('saved'));
      reached = Math.max(Number(age), ...life.ages('age'));
      if (life.ages('saving').length > life.ages('saved').length) seen.whileSaving++;
      if (life.ages('age').length === 0) seen.beforeLearning++;
      // No more than two checkpoints, and what was being written.
      expect((await readdir(directory)).length).toBeLessThanOrEqual(4);
    }
    expect(saved).toBeGreaterThan(KILLS);
    if (process.env.KILLS !== undefined) console.log({ kills: KILLS + 1, reached, ...seen, lost: tally(seen.lost) });
  });
});

it('learns on where the system refuses to write, and keeps the checkpoint that was there', {
  timeout: 120_000,
}, async () => {
  const directory = await folder();
  const first = new Learning(directory);
  await first.until('saved', 2);
  await first.kill();
  const before = await contents(directory);
  // Checkpoints are larger than 102 kB, whether blocks are of 512 bytes or of 1024.
  const refused = new Learning(directory, 100);
  await refused.until('problem', INTERVAL);
  await refused.kill();
  expect(refused.told).toContainEqual(['problem', 'CheckpointFailed']);
  expect(refused.errors).toContain('cannot save a checkpoint: learns on, and tries again');
  expect(refused.ages('saved')).toEqual([]);
  const [loaded = 0] = refused.ages('loaded');
  expect(Math.max(...refused.ages('age'))).toBeGreaterThan(loaded + INTERVAL);
  const after = await contents(directory);
  for (const [name, bytes] of before) if (!name.endsWith('.tmp')) expect(after.get(name)).toEqual(bytes);
  const again = new Learning(directory);
  await again.until('saved');
  await again.kill();
  expect(again.ages('loaded')).toEqual([loaded]);
});

it('begins anew, and says why, where no checkpoint can be used', { timeout: 120_000 }, async () => {
  const directory = await folder();
  const first = new Learning(directory);
  await first.until('saved', 2);
  await first.kill();
  for (const [name, bytes] of await contents(directory)) {
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path.join(directory, name), bytes);
  }
  const again = new Learning(directory);
  await again.until('saved');
  await again.until('age', INTERVAL + 1);
  await again.kill();
  expect(again.told.filter(([what]) => what === 'unusable').length).toBeGreaterThanOrEqual(2);
  expect(again.ages('age')[0]).toBe(1);
  expect(again.errors).toContain('no checkpoint can be used: goes on from what the network knows');
  // Told until one is saved.
  expect(again.told.filter(([what]) => what === 'problem')).toEqual(
    Array.from({ length: INTERVAL }, () => ['problem', 'CheckpointUnusable']),
  );
});

async function contents(directory: string): Promise<Map<string, Buffer>> {
  const names = await readdir(directory);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(directory, name))] as const)),
  );
}

function tally(values: readonly number[]): Record<number, number> {
  const found: Record<number, number> = {};
  for (const value of values) found[value] = (found[value] ?? 0) + 1;
  return found;
}
