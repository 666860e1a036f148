import { afterAll, expect, test } from 'vitest';
import { GROUP, KINDS, VERSION } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';

const api = apiServer();
afterAll(() => api.close());

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
