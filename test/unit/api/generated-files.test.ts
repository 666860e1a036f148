import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { customResourceDefinition } from '../../../src/api/crd.ts';
import { generatedFiles } from '../../../src/api/generate.ts';
import { KINDS, type KindName } from '../../../src/api/index.ts';
import type { JsonSchema } from '../../../src/api/structural.ts';

const kinds = Object.keys(KINDS) as readonly KindName[];

describe('the files made from src/api', () => {
  test.each([...generatedFiles()])('%s is up to date (else: npm run crds)', (path, content) => {
    expect(readFileSync(path, 'utf8') === content).toBe(true);
  });

  test.each(['crds', 'charts/murmuration/templates/crds'])('%s holds nothing else', (folder) => {
    const expected = [...generatedFiles().keys()].filter((path) => path.startsWith(`${folder}/`));
    expect(
      readdirSync(folder)
        .map((name) => `${folder}/${name}`)
        .sort(),
    ).toEqual(expected.sort());
  });

  test('a stale file is noticed', () => {
    const [first] = generatedFiles();
    expect(readFileSync(first![0], 'utf8') === `${first![1]} `).toBe(false);
  });
});

describe('a CustomResourceDefinition', () => {
  test.each(kinds)('of %s explains every field of its spec', (kind) => {
    const undocumented: string[] = [];
    walk(specOf(kind), 'spec', (schema, path) => {
      const obvious = schema.type === undefined || path.endsWith('.name') || schema.enum !== undefined;
      if (schema.description === undefined && !obvious && !path.endsWith('[]') && !path.endsWith('*')) {
        undocumented.push(path);
      }
    });
    expect(undocumented).toEqual([]);
  });

  test.each(kinds)('of %s bounds every list, and every text that a rule reads', (kind) => {
    const unbounded: string[] = [];
    walk(specOf(kind), 'spec', (schema, path) => {
      const ruled = schema['x-kubernetes-validations'] !== undefined;
      if (schema.type === 'array' && schema.maxItems === undefined) unbounded.push(path);
      if (schema.type === 'string' && ruled && schema.maxLength === undefined) unbounded.push(path);
    });
    expect(unbounded).toEqual([]);
  });

  test.each(kinds)('of %s says in each rule what to do, in a sentence', (kind) => {
    walk(specOf(kind), 'spec', (schema, path) => {
      const rules = (schema['x-kubernetes-validations'] ?? []) as readonly { message: string }[];
      for (const { message } of rules) {
        expect(message, path).toMatch(/^[a-z][A-Za-z.]*\b.* .*\.$|^a resource claim must .*\.$/);
        expect(message, path).toMatch(/must|required|cannot|can |remove|set /);
      }
    });
  });

  test('of a fleet can be scaled', () => {
    expect(customResourceDefinition('ValidatorFleet').spec.versions[0]!.subresources).toEqual({
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    });
  });

  test.each(kinds)('of %s has columns whose paths exist', (kind) => {
    const version = customResourceDefinition(kind).spec.versions[0]!;
    for (const { name, jsonPath } of version.additionalPrinterColumns) {
      if (jsonPath.startsWith('.metadata.')) continue;
      const steps = jsonPath.slice(1).replaceAll('[0]', '.[0]').split('.');
      const end = steps.reduce<JsonSchema | undefined>(
        (at, step) => (step === '[0]' ? at?.items : at?.properties?.[step]),
        version.schema.openAPIV3Schema,
      );
      expect(end?.type, `${kind} ${name} ${jsonPath}`).toMatch(/string|integer/);
    }
  });
});

const specOf = (kind: KindName): JsonSchema =>
  customResourceDefinition(kind).spec.versions[0]!.schema.openAPIV3Schema.properties!.spec!;

function walk(schema: JsonSchema, path: string, visit: (schema: JsonSchema, path: string) => void): void {
  if (path !== 'spec') visit(schema, path);
  for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${name}`, visit);
  if (schema.items !== undefined) walk(schema.items, `${path}[]`, visit);
  if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}.*`, visit);
}
