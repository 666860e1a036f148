import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import { customResourceDefinition } from './crd.ts';
import { KINDS, type KindName } from './kinds.ts';
import { GROUP } from './names.ts';

const HEADER = '# Generated from src/api by `npm run crds`. Change the schema there, not here.\n';
/** A Helm chart deletes what it installed; deleting a kind deletes every fleet, so the chart is told to keep it. */
const KEEP = { 'helm.sh/resource-policy': 'keep' };

/** The files that src/api stands for: path below the project's folder, and text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const name of Object.keys(KINDS) as readonly KindName[]) {
    const crd = customResourceDefinition(name);
    const file = `${GROUP}_${KINDS[name].plural}.yaml`;
    files.set(join('crds', file), HEADER + yaml(crd));
    const kept = { ...crd, metadata: { ...crd.metadata, annotations: KEEP } };
    const body = yaml(kept).replaceAll('{{', "{{ '{{' }}");
    files.set(
      join('charts', 'murmuration', 'templates', 'crds', file),
      `${HEADER}{{- if .Values.crds.install }}\n${body}{{- end }}\n`,
    );
  }
  return files;
}

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

/** Writes the generated files below `root`. Answers the paths that changed. */
export async function generate(root: string): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const [path, content] of generatedFiles()) {
    const file = join(root, path);
    const before = await readFile(file, 'utf8').catch(() => undefined);
    if (before === content) continue;
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, content);
    changed.push(path);
  }
  return changed;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const changed = await generate(process.cwd());
  process.stdout.write(changed.length === 0 ? 'crds are up to date\n' : `wrote ${changed.join(', ')}\n`);
}
