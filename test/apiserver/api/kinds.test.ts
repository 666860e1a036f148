import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION, GROUP, KINDS, ValidatorFleet, VERSION } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';

const api = apiServer();
let namespace: string;
beforeAll(async () => {
  namespace = await api.namespace('kinds');
});
afterAll(() => api.close());

const path = (plural: string): string => `/apis/${API_VERSION}/namespaces/${namespace}/${plural}`;
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const APPLY = 'application/apply-patch+yaml';
const MERGE = 'application/merge-patch+json';

test('the API server serves every kind under its short name and category', async () => {
  const { body } = await api.call('GET', `/apis/${GROUP}/${VERSION}`);
  const served: readonly { name: string; shortNames?: string[]; categories?: string[]; namespaced: boolean }[] =
    body.resources;
  for (const kind of Object.values(KINDS)) {
    const resource = served.find(({ name }) => name === kind.plural);
    expect(resource, kind.plural).toMatchObject({
      shortNames: kind.shortNames,
      categories: ['murmuration'],
      namespaced: kind.namespaced,
    });
    expect(served.map(({ name }) => name)).toContain(`${kind.plural}/status`);
  }
  expect(served.map(({ name }) => name)).toContain('validatorfleets/scale');
});

describe('kubectl get', () => {
  /** Names of the columns without -o wide, and the first row's cells. */
  const table = async (plural: string): Promise<Readonly<Record<string, unknown>>> => {
    const { body } = await api.call('GET', path(plural), undefined, undefined, TABLE);
    const columns: readonly { name: string; priority: number }[] = body.columnDefinitions;
    const cells: readonly unknown[] = body.rows[0].cells;
    const shown = columns.map(({ name, priority }, index) => [name, priority, cells[index]] as const);
    return Object.fromEntries(shown.filter(([, priority]) => priority === 0).map(([name, , cell]) => [name, cell]));
  };

  test('vn tells whether a validator is fine, and why not', async () => {
    await api.call('POST', path('validatornodes'), {
      apiVersion: API_VERSION,
      kind: 'ValidatorNode',
      metadata: { name: 'robin' },
      spec: {},
    });
    const status = {
      ready: 'no: VolumeFull',
      peers: 3,
      updates: 1204,
      chunks: { held: 5, assigned: 6, bytes: 10_240, summary: '5/6' },
      models: [{ name: 'digits', age: 1204, accuracy: '0.958', loss: '0.141' }],
      reputation: { score: '0.93' },
      version: '0.1.0',
    };
    const { code, body } = await api.call('PATCH', `${path('validatornodes')}/robin/status`, { status }, MERGE);
    expect(code, body.message).toBe(200);
    expect(await table('validatornodes')).toEqual({
      Name: 'robin',
      Network: 'default',
      Ready: 'no: VolumeFull',
      Peers: 3,
      Chunks: '5/6',
      Updates: 1204,
      Accuracy: '0.958',
      Reputation: '0.93',
      Version: '0.1.0',
      Age: expect.any(String),
    });
  });

  test('mdl tells how far learning is', async () => {
    await api.call('POST', path('models'), {
      apiVersion: API_VERSION,
      kind: 'Model',
      metadata: { name: 'digits' },
      spec: { data: { source: { builtin: 'digits' }, classes: 10 } },
    });
    const version = {
      cid: 'bafy',
      short: 'bafy',
      age: 500,
      certifiedAt: '2026-01-01T00:00:00Z',
      bytes: 9640,
      chunks: 5,
    };
    const status = {
      ready: 'yes',
      accuracy: '0.957',
      loss: '0.141',
      divergence: '0.012',
      updates: 1204,
      version,
      shards: { ready: 2, total: 2, summary: '2/2' },
    };
    const { code, body } = await api.call('PATCH', `${path('models')}/digits/status`, { status }, MERGE);
    expect(code, body.message).toBe(200);
    expect(await table('models')).toEqual({
      Name: 'digits',
      Network: 'default',
      Ready: 'yes',
      Accuracy: '0.957',
      Loss: '0.141',
      Divergence: '0.012',
      Updates: 1204,
      Version: 'bafy',
      Replicated: '2/2',
      Age: expect.any(String),
    });
  });
});

describe('a fleet', () => {
  const fleet = (name: string) => ({ apiVersion: API_VERSION, kind: 'ValidatorFleet', metadata: { name }, spec: {} });

  test('is scaled through its scale subresource, within its bounds', async () => {
    await api.call('POST', path('validatorfleets'), fleet('scaled'));
    const scale = `${path('validatorfleets')}/scaled/scale`;
    await api.call(
      'PATCH',
      `${path('validatorfleets')}/scaled/status`,
      { status: { replicas: 1, selector: 'a=b' } },
      MERGE,
    );
    const up = await api.call('PATCH', scale, { spec: { replicas: 6 } }, MERGE);
    expect(up.body).toMatchObject({ spec: { replicas: 6 }, status: { replicas: 1, selector: 'a=b' } });
    const { body } = await api.call('GET', `${path('validatorfleets')}/scaled`);
    expect(ValidatorFleet.parse(body).spec.replicas).toBe(6);
    const tooFar = await api.call('PATCH', scale, { spec: { replicas: 1001 } }, MERGE);
    expect(tooFar.code).toBe(422);
    expect(tooFar.body.message).toContain('less than or equal to 1000');
  });

  test('keeps its status from those who may write the spec only', async () => {
    await api.call('POST', path('validatorfleets'), { ...fleet('honest'), status: { readyReplicas: 7 } });
    await api.call('PATCH', `${path('validatorfleets')}/honest`, { status: { readyReplicas: 7 } }, MERGE);
    const { body } = await api.call('GET', `${path('validatorfleets')}/honest`);
    expect(body.status).toBeUndefined();
    expect(body.metadata.generation).toBe(1);
  });

  test('has conditions that two writers can set without overwriting each other', async () => {
    await api.call('POST', path('validatorfleets'), fleet('judged'));
    const judge = (manager: string, type: string) =>
      api.call(
        'PATCH',
        `${path('validatorfleets')}/judged/status?fieldManager=${manager}`,
        {
          apiVersion: API_VERSION,
          kind: 'ValidatorFleet',
          metadata: { name: 'judged' },
          status: {
            conditions: [
              { type, status: 'True', reason: 'Reconciled', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' },
            ],
          },
        },
        APPLY,
      );
    await judge('one', 'Ready');
    const { body } = await judge('two', 'Converged');
    expect(body.status.conditions.map(({ type }: { type: string }) => type)).toEqual(['Ready', 'Converged']);
  });
});

test('an escape hatch keeps fields that our schema does not know', async () => {
  const spec = { podTemplate: { spec: { affinity: { nodeAffinity: { odd: [1, 2] } } } } };
  const { body } = await api.call('POST', path('validatornodes'), {
    apiVersion: API_VERSION,
    kind: 'ValidatorNode',
    metadata: { name: 'hatched' },
    spec,
  });
  expect(body.spec.podTemplate).toEqual(spec.podTemplate);
});
