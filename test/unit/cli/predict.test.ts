import { describe, expect, it } from 'vitest';
import type { Listed } from '../../../src/cli/fleet/listed.ts';
import { askValidator, type Question } from '../../../src/cli/predict/ask.ts';
import { chooseValidators } from '../../../src/cli/predict/choose.ts';
import { readInstances } from '../../../src/cli/predict/instances.ts';
import { answerText } from '../../../src/cli/render/answer.ts';
import type { TransportAnswer, TransportRequest } from '../../../src/kube/index.ts';
import { condition, model, node, readyNode } from './fleet/objects.ts';

describe('rows to ask about', () => {
  it.each([
    [
      'as TensorFlow Serving takes them',
      '{"instances": [[1, 2], [3, 4]]}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['as a list', '[[1, 2]]', [[1, 2]]],
    ['as one row', '[1, 2]', [[1, 2]]],
  ])('are read %s', (_how, text, rows) => expect(readInstances(text, 'f')).toEqual(rows));

  it.each([
    ['no JSON', 'seven', 'f is not JSON'],
    ['no rows', '{"rows": 1}', 'holds no rows of numbers'],
    ['words', '[["a"]]', 'holds no rows of numbers'],
    ['nothing', '{"instances": []}', 'holds no rows of numbers'],
    ['ragged rows', '[[1, 2], [3]]', 'row 2 has 1 numbers, row 1 has 2'],
  ])('are refused where they are %s', (_what, text, says) => expect(() => readInstances(text, 'f')).toThrow(says));
});

describe('whom to ask', () => {
  const listed = (nodes: Listed['nodes']): Listed => ({ fleets: [], nodes, models: [model()], shards: [] });
  const starting = node('flock-1', { podName: 'flock-1', conditions: [condition('Ready', 'False', 'PodNotReady')] });

  it('is a ready validator first, then one whose pod runs, never one without a pod', () => {
    expect(chooseValidators(listed([node('flock-2'), starting, readyNode('flock-0')]), 'digits', 'default')).toEqual([
      'flock-0',
      'flock-1',
    ]);
  });

  it('is nobody for a model that is not there, and the ones that are there are named', () => {
    expect(() => chooseValidators(listed([]), 'letters', 'default')).toThrow('There is no model "letters"');
  });

  it('is nobody where nothing runs', () => {
    expect(() => chooseValidators(listed([node('flock-0')]), 'digits', 'default')).toThrow(
      'No validator of network default',
    );
  });
});

describe('one validator, asked through the API server', () => {
  const ask = (
    answer: (request: TransportRequest) => [status: number, body: string] | Error,
    stop = new AbortController(),
  ) => {
    const request = async (given: TransportRequest): Promise<TransportAnswer> => {
      given.signal.throwIfAborted();
      const said = answer(given);
      if (said instanceof Error) throw said;
      return {
        status: said[0],
        retryAfter: undefined,
        body: (async function* () {
          yield Buffer.from(said[1]);
        })(),
      };
    };
    const transport = { host: 'h', request, refreshCredentials: () => undefined, close: async () => undefined };
    const question: Question = {
      transport,
      namespace: 'default',
      pod: 'flock-0',
      model: 'digits',
      instances: [[1]],
      signal: stop.signal,
    };
    return askValidator(question);
  };

  it('answers in TensorFlow Serving’s form', async () => {
    let seen: TransportRequest | undefined;
    const reply = await ask((request) => {
      seen = request;
      return [200, '{"predictions": [[0.1, 0.9]]}'];
    });
    expect(reply).toEqual({ predictions: [[0.1, 0.9]] });
    expect(seen).toMatchObject({
      method: 'POST',
      path: '/api/v1/namespaces/default/pods/flock-0:8080/proxy/v1/models/digits:predict',
      body: '{"instances":[[1]]}',
    });
  });

  it.each([
    [
      'a row of another width blames the request',
      400,
      '{"error": "64 numbers are wanted"}',
      '64 numbers are wanted',
      'request',
    ],
    ['a model still being loaded lets the next be asked', 503, '{"error": "loading"}', '503 loading', 'validator'],
    [
      'a pod that is gone lets the next be asked',
      404,
      '{"message":"pods not found"}',
      '404 pods not found',
      'validator',
    ],
    ['an answer of another shape lets the next be asked', 200, '{"result": 1}', '200 {"result": 1}', 'validator'],
    ['an answer that is no JSON moves no cursor', 502, 'bad\u001b[2Jgateway', '502 bad [2Jgateway', 'validator'],
  ])('%s', async (_what, status, body, refusal, blames) => {
    expect(await ask(() => [status, body])).toEqual({ refusal, blames });
  });

  it('that is cut off lets the next be asked', async () => {
    expect(await ask(() => new Error('reset'))).toEqual({ refusal: 'reset', blames: 'validator' });
  });

  it('is asked no longer when the command ends', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    await expect(ask(() => [200, '{}'], stop)).rejects.toThrow('stopped');
  });
});

describe('predictions as text', () => {
  it('name the likeliest class and the next', () => {
    expect(answerText({ validator: 'v', predictions: [[0.012, 0.9, 0.088]] })).toEqual([
      'ROW  CLASS  PROBABILITY  NEXT',
      '1    1      0.900        2 (0.088)',
    ]);
  });

  it('are the number itself where there is one output', () => {
    expect(answerText({ validator: 'v', predictions: [[0.25]] })).toEqual(['ROW  VALUE', '1    0.250']);
  });
});
