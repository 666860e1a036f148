import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { API_VERSION, changeProblems, KINDS, type Kind } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';
import { CASES, type Case } from './verdict.table.ts';

const api = apiServer();
let namespace: string;
beforeAll(async () => {
  namespace = await api.namespace('verdict');
});
afterAll(() => api.close());

type Verdict = { readonly valid: true; readonly spec: unknown } | { readonly valid: false; readonly messages: string };

const document = (of: Case, index: number, spec: unknown) => {
  const unique = createHash('sha256').update(`${index}`).digest('hex');
  const name = of.name ?? (of.kind === 'StakeKeyReservation' ? unique : `case-${index}`);
  return JSON.parse(JSON.stringify({ apiVersion: API_VERSION, kind: of.kind, metadata: { name }, spec }));
};

/** What zod says, of the document and of the change that leads to it. */
function byZod(of: Case, index: number): Verdict {
  const kind: Kind = KINDS[of.kind];
  const after = kind.schema.safeParse(document(of, index, of.spec));
  if (!after.success) {
    return {
      valid: false,
      messages: after.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
    };
  }
  const parsed = after.data as { readonly spec: unknown };
  if (of.before !== undefined) {
    const before = kind.schema.parse(document(of, index, of.before)) as { readonly spec: unknown };
    const problems = changeProblems(kind, parsed, before);
    if (problems.length > 0) return { valid: false, messages: problems.join('; ') };
  }
  return { valid: true, spec: parsed.spec };
}

/** What the API server says. */
async function byApiServer(of: Case, index: number): Promise<Verdict> {
  const kind: Kind = KINDS[of.kind];
  const scope = kind.namespaced ? `/namespaces/${namespace}` : '';
  const path = `/apis/${API_VERSION}${scope}/${kind.plural}`;
  const first = await api.call('POST', path, document(of, index, of.before ?? of.spec));
  if (of.before === undefined) {
    return first.code < 300 ? { valid: true, spec: first.body.spec } : { valid: false, messages: first.body.message };
  }
  expect(first.code, first.body.message).toBe(201);
  const { resourceVersion, name } = first.body.metadata;
  const changed = document(of, index, of.spec);
  const second = await api.call('PUT', `${path}/${name}`, { ...changed, metadata: { name, resourceVersion } });
  return second.code < 300 ? { valid: true, spec: second.body.spec } : { valid: false, messages: second.body.message };
}

describe('zod and the API server agree on', () => {
  test.each(CASES.map((of, index) => [`a ${of.kind} ${of.title}`, of, index] as const))('%s', async (_, of, index) => {
    const zod = byZod(of, index);
    const server = await byApiServer(of, index);
    const said = JSON.stringify({ zod, server });
    expect([zod.valid, server.valid], said).toEqual([of.says === undefined, of.says === undefined]);
    if (zod.valid && server.valid) {
      // defaults, too: what the operator reads is what zod makes of it
      expect(zod.spec).toEqual(server.spec);
    }
    if (!server.valid && of.says !== undefined) expect(server.messages).toContain(of.says);
  });
});

test('an invalid document names the field before the sentence', async () => {
  const of: Case = { title: '', kind: 'Model', spec: { data: { source: { url: 'https://x/y' }, classes: 2 } } };
  const verdict = await byApiServer(of, 10_000);
  expect(verdict).toMatchObject({
    valid: false,
    messages: expect.stringMatching(
      /spec\.data\.sha256: .*data\.sha256 is required with data\.source\.url: run sha256sum/,
    ),
  });
});

test('a misspelt field is named when the client asks for strictness, as kubectl does', async () => {
  const { code, body } = await api.call(
    'POST',
    `/apis/${API_VERSION}/namespaces/${namespace}/validatornodes?fieldValidation=Strict`,
    { apiVersion: API_VERSION, kind: 'ValidatorNode', metadata: { name: 'typo' }, spec: { netwrok: 'x' } },
  );
  expect(code).toBe(400);
  expect(body.message).toContain('unknown field "spec.netwrok"');
});
