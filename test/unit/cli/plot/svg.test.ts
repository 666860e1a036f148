import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Curve } from '../../../../src/cli/plot/ask.ts';
import { escaped, meanOf, plot } from '../../../../src/cli/plot/svg.ts';

const options = { model: 'digits', target: { metric: 'accuracy', value: 0.95 }, width: 960, height: 640 } as const;
const point = (second: number, accuracy: number | null, more: object = {}) => ({
  at: 1_700_000_000_000 + second * 1000,
  updates: second,
  loss: accuracy === null ? null : 1 - accuracy,
  accuracy,
  divergence: null,
  ...more,
});
const curve = (validator: string, ...accuracies: readonly (number | null)[]): Curve => ({
  validator,
  points: accuracies.map((accuracy, index) => point(index * 10, accuracy)),
});
const two = [curve('flock-0', 0.1, 0.5, 0.9), curve('flock-1', 0.2, 0.6, 1)];

/** Texts and tags of a document that is well-formed XML as this picture uses it. @throws where it is not */
function read(xml: string): { readonly tags: readonly string[]; readonly texts: readonly string[] } {
  const open: string[] = [];
  const tags: string[] = [];
  const texts: string[] = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they have no place in XML
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml)) throw new Error('a character that XML has not');
  const piece = /<(\/?)([A-Za-z]+)((?:\s+[A-Za-z:-]+="[^"<&]*")*)\s*(\/?)>|([^<]+)/gy;
  while (piece.lastIndex < xml.length) {
    const at = piece.lastIndex;
    const [, closing, tag = '', attributes = '', empty, text] = piece.exec(xml) ?? [];
    if (piece.lastIndex <= at) throw new Error(`no XML: ${xml.slice(at, at + 80)}`);
    if (text !== undefined) {
      if (/&(?!#\d+;)/.test(text)) throw new Error(`an open entity: ${text}`);
      if (open.length === 0 && text.trim() !== '') throw new Error(`text outside: ${text}`);
      texts.push(text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))));
    } else if (closing === '/') {
      if (open.pop() !== tag) throw new Error(`closes ${tag}`);
    } else {
      const names = [...attributes.matchAll(/([A-Za-z:-]+)=/g)].map(([, name]) => name);
      if (new Set(names).size < names.length) throw new Error(`an attribute twice: ${attributes}`);
      if (open.length === 0 && tags.length > 0) throw new Error('two roots');
      tags.push(tag);
      if (empty !== '/') open.push(tag);
    }
  }
  if (open.length > 0) throw new Error(`open: ${open.join(' ')}`);
  return { tags, texts };
}

describe('the picture of learning curves', () => {
  const svg = plot(two, options);

  it('is well-formed, with a title and a description for who does not see it', () => {
    const { tags, texts } = read(svg);
    expect(tags.slice(0, 3)).toEqual(['svg', 'title', 'desc']);
    expect(svg).toMatch(/role="img" aria-labelledby="title desc"/);
    expect(texts).toContain('How model digits learns');
    expect(texts).toContain(
      '2 validators over 20 s: accuracy ends between 0.9 and 1, loss ends between 0 and 0.1. The target is accuracy 0.95.',
    );
  });

  it('has a panel each for what is known, a thin line a validator, a mean, and the target once', () => {
    const count = (what: string, of = svg) => of.split(`<path class="${what}"`).length - 1;
    // Legend entries count too.
    expect([count('one'), count('mean'), count('target')]).toEqual([4 + 2, 2 + 1, 1 + 1]);
    expect(read(svg).texts).toEqual(
      expect.arrayContaining(['accuracy', 'loss', 'flock-0', 'flock-1', 'mean', 'target']),
    );
    expect(read(svg).texts).not.toContain('divergence');
    expect(count('target', plot(two, { ...options, target: undefined }))).toBe(0);
  });

  it('is read in light and dark', () => {
    expect(svg).toContain('@media(prefers-color-scheme:dark)');
  });

  it('does not let one validator that tells nonsense make the others flat', () => {
    const liar = { validator: 'liar', points: [point(0, 0.5, { loss: 1e9 }), point(20, 0.5, { loss: 1e9 })] };
    const { texts } = read(plot([...two, liar], options));
    expect(texts).not.toContain('1000000000');
    expect(texts).toContain('1.8');
  });

  it('escapes names, whatever is in them', () => {
    const anything = fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes));
    const hostile = `</title><script>alert("1")</script>&amp;'\u0000\u001b[2J`;
    const { tags, texts } = read(plot([curve(hostile, 0.5, 0.6)], { ...options, model: hostile }));
    expect(tags).not.toContain('script');
    expect(texts.some((text) => text.startsWith('How model </title><script>alert("1")</script>&amp;'))).toBe(true);
    fc.assert(
      fc.property(anything, (text) => {
        read(`<a>${escaped(text)}</a>`);
      }),
    );
  });

  it('is well-formed and within numbers, whatever the curves', () => {
    const sample = fc.record({
      at: fc.integer({ min: 0, max: 2 ** 45 }),
      updates: fc.nat(),
      loss: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
      accuracy: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      divergence: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
    });
    const curves = fc.array(
      fc.record({
        validator: fc.string(),
        points: fc.array(sample, { minLength: 1, maxLength: 8 }).map((all) => all.toSorted((a, b) => a.at - b.at)),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(curves, fc.integer({ min: 200, max: 2000 }), (all, side) => {
        const drawn = plot(all, { ...options, width: side, height: side });
        read(drawn);
        expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the mean of curves', () => {
  const line = (...spots: readonly (readonly [number, number])[]) => ({
    validator: 'x',
    spots: spots.map(([t, y]) => ({ t, y })),
  });

  it('goes straight between points, and only where at least half of the lines are', () => {
    const mean = meanOf([line([0, 0], [100, 1]), line([0, 1], [50, 1]), line([0, 0.5], [20, 0.5])], 200);
    const at = (t: number) => mean.find((spot) => spot.t === t)?.y;
    expect(at(0)).toBe(0.5);
    expect(at(40)).toBeCloseTo((0.4 + 1) / 2);
    expect(at(60)).toBeUndefined();
  });
});
