import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { KINDS, type KindName, Model, ValidatorFleet, ValidatorNode } from '../../../src/api/index.ts';

const files = readdirSync('manifests').filter((name) => name.endsWith('.yaml'));
const documents = (file: string): readonly { kind: string }[] =>
  parseAllDocuments(readFileSync(`manifests/${file}`, 'utf8')).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });
const only = (file: string, kind: string): unknown => documents(file).find((document) => document.kind === kind);

describe('the manifests', () => {
  test('are those that the README names', () => {
    expect(files.sort()).toEqual([
      'validator-by-label.yaml',
      'validator-gpu.yaml',
      'validator-node.yaml',
      'validator.yaml',
    ]);
  });

  test.each(files)('%s says nothing that the kinds do not know', (file) => {
    for (const document of documents(file)) {
      // toMatchObject: parsing adds defaults, but must drop nothing
      expect(KINDS[document.kind as KindName].schema.parse(document)).toMatchObject(document);
    }
  });

  test.each(['validator.yaml', 'validator-by-label.yaml', 'validator-gpu.yaml'])(
    '%s has a fleet of four on the network of its model, which needs no more of them than there are',
    (file) => {
      const model = Model.parse(only(file, 'Model'));
      const fleet = ValidatorFleet.parse(only(file, 'ValidatorFleet'));
      expect(fleet.spec.template.spec.network).toBe(model.spec.network);
      expect(fleet.spec.replicas).toBe(4);
      expect(model.spec.shards.replicas).toBeLessThanOrEqual(4);
      expect(model.spec.versions.minimumVoters).toBeLessThanOrEqual(4);
    },
  );

  test('do not share names or networks where they would disturb each other', () => {
    const models = ['validator.yaml', 'validator-by-label.yaml', 'validator-gpu.yaml'].map((file) =>
      Model.parse(only(file, 'Model')),
    );
    expect(new Set(models.map(({ metadata }) => metadata.name)).size).toBe(3);
    expect(new Set(models.map(({ spec }) => spec.network)).size).toBe(3);
  });

  test('show a single node, and a GPU', () => {
    expect(ValidatorNode.parse(only('validator-node.yaml', 'ValidatorNode')).spec.storage.retain).toBe('Retain');
    const gpu = ValidatorFleet.parse(only('validator-gpu.yaml', 'ValidatorFleet')).spec.template.spec;
    expect(gpu.resources.gpu).toEqual({ count: 1, resourceName: 'nvidia.com/gpu' });
    expect(gpu.image).toMatch(/^murmuration-gpu:/);
  });

  test.each(['seven.json', 'ten-digits.json'])('samples/%s holds rows of 64 pixels from 0 to 16', (file) => {
    const { instances } = JSON.parse(readFileSync(`samples/${file}`, 'utf8')) as { instances: number[][] };
    for (const row of instances) {
      expect(row).toHaveLength(64);
      expect(row.every((pixel) => Number.isInteger(pixel) && pixel >= 0 && pixel <= 16)).toBe(true);
    }
  });
});
