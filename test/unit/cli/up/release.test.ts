import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installRelease, type Release, removeRelease } from '../../../../src/cli/up/release.ts';
import { imageValues } from '../../../../src/cli/up/steps.ts';
import type { ToolOptions } from '../../../../src/cli/up/tool.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'murmur-helm-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/**
 * A stand-in for helm and kubectl with one release: `deployed` holds its manifest, `wanted` what the chart renders to,
 * `status` what a helm that was killed left.
 */
async function helm(): Promise<{
  readonly release: Release;
  readonly options: ToolOptions;
  readonly calls: () => Promise<string>;
}> {
  const program = join(folder, 'helm');
  await writeFile(
    program,
    `#!/bin/sh
echo "$*" >> calls
json() { printf '{"manifest":"%s","info":{"status":"%s"}}' "$(cat "$1")" "$(cat status 2>/dev/null || echo deployed)"; }
case "$*" in
  status*) if [ -f deployed ]; then json deployed; else echo 'Error: release: not found' >&2; exit 1; fi ;;
  *--dry-run=server*) json wanted ;;
  upgrade*) case "$(cat status 2>/dev/null)" in pending-*) echo 'Error: another operation (install/upgrade/rollback) is in progress' >&2; exit 1 ;; esac
    if [ -f broken ]; then echo 'Error: context deadline exceeded' >&2; exit 1; fi; cp wanted deployed; rm -f status ;;
  uninstall*) rm deployed ;;
  'delete secret'*) rm -f status ;;
esac
`,
  );
  await chmod(program, 0o755);
  await writeFile(join(folder, 'wanted'), 'image: 1');
  const release = {
    helm: program,
    kubectl: program,
    kubeconfig: '/a/config',
    context: undefined,
    name: 'murmuration',
    chart: 'charts/murmuration',
    values: imageValues('murmuration:0.1.0-abc'),
    lock: undefined,
  };
  const options = { folder, env: { PATH: process.env.PATH }, signal: new AbortController().signal };
  return { release, options, calls: () => readFile(join(folder, 'calls'), 'utf8') };
}

describe('the release of the operator', () => {
  it('is installed, left alone while nothing differs, and upgraded when something does', async () => {
    const { release, options, calls } = await helm();
    expect(await installRelease(release, options)).toBe('installed');
    expect(await installRelease(release, options)).toBe('unchanged');
    await writeFile(join(folder, 'wanted'), 'image: 2');
    expect(await installRelease(release, options)).toBe('upgraded');
    const written = (await calls())
      .split('\n')
      .filter((line) => line.startsWith('upgrade') && !line.includes('dry-run'));
    expect(written).toHaveLength(2);
    expect(written[0]).toContain('--set-string image.repository=murmuration --set-string image.tag=0.1.0-abc');
    expect(written[0]).toContain('--kubeconfig /a/config');
  });

  it('is taken over from a helm that was killed, where no other can be at work', async () => {
    const { release, options, calls } = await helm();
    await installRelease(release, options);
    await writeFile(join(folder, 'status'), 'pending-upgrade');
    const lock = join(folder, 'wanted');
    expect(await installRelease({ ...release, lock }, options)).toBe('upgraded');
    expect(await calls()).toContain(
      'delete secret --namespace murmuration-system --kubeconfig /a/config -l owner=helm',
    );
  });

  it('is left to a helm that may be at work elsewhere, and told with what to do', async () => {
    const { release, options, calls } = await helm();
    await installRelease(release, options);
    await writeFile(join(folder, 'status'), 'pending-install');
    const failure = installRelease(release, options);
    await expect(failure).rejects.toThrow('is pending-install since');
    await expect(failure).rejects.toHaveProperty('fix', expect.stringContaining('delete secret -l'));
    expect(await calls()).not.toMatch(/^delete/m);
  });

  it('that does not get ready is told with what to look at', async () => {
    const { release, options } = await helm();
    await writeFile(join(folder, 'broken'), '');
    const failure = installRelease(release, options);
    await expect(failure).rejects.toThrow('could not be installed in namespace murmuration-system');
    await expect(failure).rejects.toHaveProperty('fix', expect.stringContaining('describe pods'));
  });

  it('is removed once', async () => {
    const { release, options } = await helm();
    await installRelease(release, options);
    expect(await removeRelease(release, options)).toBe(true);
    expect(await removeRelease(release, options)).toBe(false);
  });
});

describe('an image reference as values of the chart', () => {
  it.each([
    ['murmuration:0.1.0', 'murmuration', '0.1.0'],
    ['registry.example:5000/team/murmuration:1', 'registry.example:5000/team/murmuration', '1'],
    ['registry.example:5000/murmuration', 'registry.example:5000/murmuration', ''],
  ])('%s', (reference, repository, tag) => {
    expect(imageValues(reference)).toEqual({ 'image.repository': repository, 'image.tag': tag });
  });
});
