import { describe, expect, it } from 'vitest';
import { ModelSpec } from '../../../src/api/index.ts';
import { sourcesOf } from '../../../src/operator/model-sources.ts';

const data = { source: { claim: { claimName: 'rows', path: 'a.csv' } }, classes: 2 };
const sha256 = 'a'.repeat(64);

describe('what validators mount for a model', () => {
  it('is where its data come from', () => {
    expect(sourcesOf({ spec: ModelSpec.parse({ data }) })).toEqual([data.source]);
  });

  it('is also the claim of the model that it starts from', () => {
    const claim = { claimName: 'models', path: 'digits/model.json' };
    const spec = ModelSpec.parse({ data, architecture: { from: { claim, sha256 } } });
    expect(sourcesOf({ spec })).toEqual([data.source, { claim }]);
    const remote = ModelSpec.parse({ data, architecture: { from: { url: 'https://x.test/model.json', sha256 } } });
    expect(sourcesOf({ spec: remote })).toEqual([data.source]);
  });
});
