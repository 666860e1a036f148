import { describe, expect, inject, it } from 'vitest';
import { type Begin, faults } from './faults.ts';
import { type Played, play, SHORT } from './play.ts';

/** Stories at once: they mostly wait. */
const AT_ONCE = 6;
const LIMIT_MS = 110_000;

/** Tells the story once for each fault, some at a time; each test waits for its own. */
function playAll(each: Readonly<Record<string, readonly Begin[]>>): ReadonlyMap<string, Promise<Played>> {
  const played = new Map(Object.keys(each).map((name) => [name, Promise.withResolvers<Played>()]));
  const waiting = Object.entries(each);
  const next = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const [name, begin] = one;
      const init = { access: inject('apiServer'), random: Math.random, awayMs: 8_000, chapterMs: 45_000, times: SHORT };
      await play(begin, init).then(played.get(name)?.resolve, played.get(name)?.reject);
    }
  };
  for (let at = 0; at < AT_ONCE; at += 1) void next();
  return new Map([...played].map(([name, { promise }]) => [name, promise]));
}

describe('an operator whose API server or network fails while people change things', () => {
  const names = Object.keys(faults);
  const played = playAll({
    nothing: [],
    ...Object.fromEntries(Object.entries(faults).map(([name, begin]) => [name, [begin]])),
  });
  for (const story of played.values()) story.catch(() => undefined);

  it('comes to rest by itself where nothing fails', { timeout: LIMIT_MS }, async () => {
    const { problems, log } = await (played.get('nothing') as Promise<Played>);
    expect(problems.join('\n')).toBe('');
    expect(log.flatMap(({ faults: befallen }) => befallen)).toEqual([]);
  });

  it.each(names)('misses, leaks and doubles nothing: %s', { timeout: LIMIT_MS }, async (name) => {
    const undisturbed = await (played.get('nothing') as Promise<Played>);
    const { problems, inventory } = await (played.get(name) as Promise<Played>);
    expect(problems.join('\n')).toBe('');
    expect(inventory).toEqual(undisturbed.inventory);
  });
});
