import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { LAYERS, Model, PRESETS, REASONS } from '../../../src/api/index.ts';
import { DATA_FORMATS } from '../../../src/api/model-data.ts';

const page = readFileSync('docs/models.md', 'utf8');
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text ?? ''));

describe('docs/models.md', () => {
  it.each(examples.map((example) => [example.metadata.name, example]))(
    'has an example %s that says nothing that the kind does not know',
    (_, example) => {
      expect(Model.parse(example)).toMatchObject(example);
    },
  );

  it('tells of every preset, layer and format', () => {
    for (const preset of PRESETS) expect(page).toContain(`\`preset: ${preset}\``);
    const known = /Known layers: ([\s\S]*?)\./.exec(page)?.[1]?.split(/,\s+/);
    expect(known).toEqual([...LAYERS]);
    for (const format of DATA_FORMATS) expect(page).toMatch(new RegExp(`\`(data\\.format: )?${format}\``));
  });

  it('explains every reason why data are not used', () => {
    const told = [...page.matchAll(/^\| ((?:Data|Label|Arch)[A-Za-z]+) \|/gm)].map(([, reason]) => reason);
    const all = Object.keys(REASONS).filter((reason) => /^Data|^LabelOut|^Architecture/.test(reason));
    expect(told.sort()).toEqual(all.sort());
  });
});
