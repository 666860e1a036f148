import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS, type KindName } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';

const api = apiServer();
afterAll(() => api.close());

test.each(readdirSync('manifests').filter((name) => name.endsWith('.yaml')))(
  'manifests/%s is accepted as kubectl sends it, and zod fills in the same defaults',
  async (file) => {
    const namespace = await api.namespace('manifest');
    for (const document of parseAllDocuments(readFileSync(`manifests/${file}`, 'utf8'))) {
      const object: { apiVersion: string; kind: KindName } = document.toJS();
      const kind = KINDS[object.kind];
      const path = `/apis/${object.apiVersion}/namespaces/${namespace}/${kind.plural}?fieldValidation=Strict`;
      const { code, body } = await api.call('POST', path, object);
      expect(code, body.message).toBe(201);
      expect(kind.schema.parse(object).spec).toEqual(body.spec);
    }
  },
);
