import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS, type KindName } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';

const api = apiServer();
afterAll(() => api.close());

const files = [...readdirSync('manifests').filter((name) => name.endsWith('.yaml'))].map(
  (name) => [`manifests/${name}`, readFileSync(`manifests/${name}`, 'utf8')] as const,
);
const examples = [...readFileSync('docs/models.md', 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(
  ([, text = ''], i) => [`example ${i + 1} of docs/models.md`, text] as const,
);

test.each([...files, ...examples])(
  '%s is accepted as kubectl sends it, and zod fills in the same defaults',
  async (_, text) => {
    const namespace = await api.namespace('manifest');
    for (const document of parseAllDocuments(text)) {
      const object: { apiVersion: string; kind: KindName } = document.toJS();
      const kind = KINDS[object.kind];
      const path = `/apis/${object.apiVersion}/namespaces/${namespace}/${kind.plural}?fieldValidation=Strict`;
      const { code, body } = await api.call('POST', path, object);
      expect(code, body.message).toBe(201);
      expect(kind.schema.parse(object).spec).toEqual(body.spec);
    }
  },
);
