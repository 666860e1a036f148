import { Counter, Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BadInputError, LearnerStoppedError } from '../../../src/learning/index.ts';
import { createHttp, type HttpParts, type ServedModel } from '../../../src/validator/http.ts';

function http(overrides: Partial<HttpParts> = {}, model: Partial<ServedModel> = {}) {
  const digits: ServedModel = {
    name: 'digits',
    age: 1200,
    predict: async (rows) => rows.map(() => [0.25, 0.75]),
    ...model,
  };
  const made = createHttp({
    metrics: new Registry(),
    refresh: () => undefined,
    notReady: () => undefined,
    status: () => ({ name: 'flock-0' }),
    model: (name) => (name === 'digits' ? digits : undefined),
    catalog: { find: () => [], certificate: () => undefined },
    history: () => undefined,
    ...overrides,
  });
  onTestFinished(() => made.close());
  const predict = (payload: unknown, url = '/v1/models/digits:predict') =>
    made.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json' },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  return { http: made, predict, get: (url: string) => made.inject({ url }) };
}

describe('serving, as TensorFlow Serving does', () => {
  it('answers rows with predictions, one a row', async () => {
    const answer = await http().predict({ instances: [[1], [2]] });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      predictions: [
        [0.25, 0.75],
        [0.25, 0.75],
      ],
    });
  });

  it.each([{}, { 'content-type': 'application/x-www-form-urlencoded' }])(
    'takes JSON whatever it is called: %o',
    async (headers) => {
      const payload = '{"instances": [[1]]}';
      const answer = await http().http.inject({ method: 'POST', url: '/v1/models/digits:predict', headers, payload });
      expect(answer.json()).toEqual({ predictions: [[0.25, 0.75]] });
    },
  );

  it('tells the version that answers and whether it is available', async () => {
    const status = (await http().get('/v1/models/digits')).json();
    expect(status.model_version_status).toEqual([
      { version: '1200', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } },
    ]);
    const loading = (await http({}, { unavailable: 'is being loaded' }).get('/v1/models/digits')).json();
    expect(loading.model_version_status[0]).toEqual({
      version: '1200',
      state: 'LOADING',
      status: { error_code: 'UNAVAILABLE', error_message: 'is being loaded' },
    });
  });

  it.each([
    ['no JSON', '{"instances": [[1'],
    ['no instances', {}],
    ['no rows', { instances: [] }],
    ['text in a row', { instances: [['a']] }],
    ['the column format', { inputs: [[1]] }],
    ['too many rows', { instances: new Array(4097).fill([1]) }],
  ])('refuses %s with 400 and a sentence', async (_what, payload) => {
    const answer = await http().predict(payload);
    expect(answer.statusCode).toBe(400);
    expect(Object.keys(answer.json())).toEqual(['error']);
    expect(answer.json().error).toMatch(/\w+ \w+/);
  });

  it('hands on what the model says of rows of another width', async () => {
    const predict = async () => {
      throw new BadInputError('instance 0 has 3 numbers, the model takes 64');
    };
    const answer = await http({}, { predict }).predict({ instances: [[1, 2, 3]] });
    expect([answer.statusCode, answer.json()]).toEqual([
      400,
      { error: 'instance 0 has 3 numbers, the model takes 64' },
    ]);
  });

  it('says 404 for a model that is not learned here, and for other verbs', async () => {
    const { predict, get } = http();
    const answers = [
      await predict({ instances: [[1]] }, '/v1/models/cats:predict'),
      await predict({ instances: [[1]] }, '/v1/models/digits:classify'),
      await get('/v1/models/cats'),
      await get('/nowhere'),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([404, 404, 404, 404]);
    expect(answers[0]?.json()).toEqual({ error: 'No model "cats" is learned here; GET /status lists the models.' });
    for (const answer of answers) expect(Object.keys(answer.json())).toEqual(['error']);
  });

  it('says 503 while the model is loaded, and when its worker has just ended', async () => {
    const loading = await http({}, { unavailable: 'is being loaded' }).predict({ instances: [[1]] });
    expect([loading.statusCode, loading.json()]).toEqual([503, { error: 'is being loaded' }]);
    const predict = async () => {
      throw new LearnerStoppedError('The training worker ended');
    };
    const ended = await http({}, { predict }).predict({ instances: [[1]] });
    expect(ended.statusCode).toBe(503);
  });

  it("gives no weights: blocks are the gateway's, which is open to the pod alone", async () => {
    const answer = await http().get('/ipfs/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e?format=raw');
    expect(answer.statusCode).toBe(404);
  });

  it('refuses a body beyond 4 MiB before it is parsed', async () => {
    const answer = await http().predict(`{"instances": [[${' '.repeat(4 * 1024 * 1024)}1]]}`);
    expect(answer.statusCode).toBe(413);
    expect(Object.keys(answer.json())).toEqual(['error']);
  });
});

describe('health', () => {
  it('is alive always, and ready once there is a charter', async () => {
    let why: string | undefined = 'no charter yet';
    const { get } = http({ notReady: () => why });
    expect((await get('/healthz')).statusCode).toBe(200);
    const unready = await get('/readyz');
    expect([unready.statusCode, unready.body]).toEqual([503, 'no charter yet\n']);
    why = undefined;
    expect((await get('/readyz')).statusCode).toBe(200);
  });

  it('brings metrics up to date before they are read', async () => {
    const metrics = new Registry();
    const peers = new Counter({ name: 'peers_total', help: 'Peers.', registers: [metrics] });
    const answer = await http({ metrics, refresh: () => peers.inc(3) }).get('/metrics');
    expect(answer.body).toContain('peers_total 3');
  });
});

describe('what can be looked up', () => {
  const answer = { certificate: { version: 'bafy' } } as never;
  const catalog = {
    find: (words: string) => [{ name: words } as never],
    certificate: (name: string, version?: string) =>
      name === 'digits' && (version === undefined || version === 'bafy') ? answer : undefined,
  };

  it('is the models, by words', async () => {
    const { get } = http({ catalog });
    expect((await get('/v1/models')).json()).toEqual({ models: [{ name: '' }] });
    expect((await get('/v1/models?q=two%20words')).json()).toEqual({ models: [{ name: 'two words' }] });
  });

  it('is a certificate, of the newest version or of one', async () => {
    const { get } = http({ catalog });
    expect((await get('/v1/models/digits/certificate')).json()).toEqual(answer);
    expect((await get('/v1/models/digits/certificate?version=bafy')).json()).toEqual(answer);
    const other = await get('/v1/models/digits/certificate?version=other');
    expect([other.statusCode, other.json().error]).toEqual([
      404,
      'No certificate of version other of a model "digits" is known here (yet).',
    ]);
    expect((await get('/v1/models/cats/certificate')).statusCode).toBe(404);
  });

  it.each([
    '/v1/models?q=a&q=b',
    `/v1/models?q=${'x'.repeat(300)}`,
    '/v1/models/digits/certificate?version=a&version=b',
  ])('is no nonsense: %s', async (url) => {
    const refused = await http({ catalog }).get(url);
    expect([refused.statusCode, Object.keys(refused.json())]).toEqual([400, ['error']]);
  });
});

describe('the learning curve', () => {
  it('is told of a model that is learned here, and of no other', async () => {
    const points = [{ at: 1, updates: 2, loss: 0.5, accuracy: 0.8, divergence: null }];
    const { get } = http({ history: (name) => (name === 'digits' ? { uid: 'u', points } : undefined) });
    expect((await get('/v1/models/digits/history')).json()).toEqual({ model: { name: 'digits', uid: 'u' }, points });
    const other = await get('/v1/models/letters/history');
    expect([other.statusCode, other.json().error]).toEqual([404, expect.stringContaining('"letters"')]);
  });
});
