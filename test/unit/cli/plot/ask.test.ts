import { describe, expect, it } from 'vitest';
import { askCurves } from '../../../../src/cli/plot/ask.ts';
import type { TransportAnswer, TransportRequest } from '../../../../src/kube/index.ts';

const point = (at: number, more: object = {}) => ({
  at,
  updates: 1,
  loss: 0.5,
  accuracy: 0.8,
  divergence: null,
  ...more,
});

/** What is learned from pods that answer so. */
function ask(answers: Readonly<Record<string, readonly [status: number, body: unknown]>>) {
  const paths: string[] = [];
  const request = async ({ path }: TransportRequest): Promise<TransportAnswer> => {
    paths.push(path);
    const [status, body] = answers[/pods\/([^:]+):/.exec(path)?.[1] ?? ''] ?? [404, {}];
    return {
      status,
      retryAfter: undefined,
      body: (async function* () {
        yield Buffer.from(JSON.stringify(body));
      })(),
    };
  };
  const where = { transport: { request } as never, namespace: 'test' };
  const validators = Object.keys(answers).map((pod) => ({ node: `node-${pod}`, pod }));
  const between = { from: 1_000_000_000, to: 1_000_100_000 };
  const asked = askCurves(where, 'digits', validators, between, new AbortController().signal);
  return asked.then((result) => ({ ...result, paths }));
}

describe('learning curves, asked of validators', () => {
  it('are named for their validators, in the order of time', async () => {
    const { curves, refusals, paths } = await ask({
      a: [200, { model: { name: 'x' }, points: [point(1_000_002_000), point(1_000_001_000)] }],
      b: [200, { points: [] }],
    });
    expect(curves.map(({ validator, points }) => [validator, points.map(({ at }) => at)])).toEqual([
      ['node-a', [1_000_001_000, 1_000_002_000]],
    ]);
    expect(refusals).toEqual([]);
    expect(paths[0]).toBe('/api/v1/namespaces/test/pods/a:8080/proxy/v1/models/digits/history');
  });

  it('leave out points of a clock that was wrong', async () => {
    const { curves } = await ask({ a: [200, { points: [point(5), point(1_000_000_500), point(2 ** 50)] }] });
    expect(curves[0]?.points.map(({ at }) => at)).toEqual([1_000_000_500]);
  });

  it.each([
    ['points of another shape', [point(1, { accuracy: 2 })]],
    ['numbers that are none', [point(1, { loss: 'much' })]],
    ['more points than any validator keeps', Array.from({ length: 1025 }, () => point(1))],
  ])('are not taken with %s, and the others are', async (_what, points) => {
    const { curves, refusals } = await ask({ bad: [200, { points }], good: [200, { points: [point(1_000_000_500)] }] });
    expect(curves.map(({ validator }) => validator)).toEqual(['node-good']);
    expect(refusals).toEqual([expect.stringContaining('an answer of another shape')]);
  });

  it('tell why a validator said nothing', async () => {
    const { refusals } = await ask({ old: [404, { error: 'Nothing is served at GET /v1/models/digits/history.' }] });
    expect(refusals).toEqual([expect.stringContaining('404 Nothing is served')]);
  });
});
