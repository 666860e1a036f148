import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { Cluster } from './cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kubeconfig: string;
  }
}

/**
 * Brings the fleet up as a person does, with the same command, on a cluster of its own; then starts the slow fleet
 * (data dealt out by label), which learns while the other tests run.
 */
export async function setup(project: TestProject): Promise<void> {
  const name = process.env.MURMURATION_E2E_CLUSTER;
  const kubeconfig = process.env.KUBECONFIG;
  if (name === undefined || kubeconfig === undefined) {
    throw new Error('End-to-end tests need a cluster and an image. Run them with: make e2e');
  }
  const root = new URL('../..', import.meta.url).pathname;
  await shown('npx', ['tsc', '-p', 'tsconfig.build.json'], root);
  await shown(process.execPath, ['dist/cli/main.js', 'up', '--name', name, '--timeout', '10m'], root);
  const byLabel = new Cluster(kubeconfig, 'by-label');
  await byLabel.ensureNamespace();
  await byLabel.apply(await readFile(`${root}/manifests/validator-by-label.yaml`, 'utf8'));
  project.provide('kubeconfig', kubeconfig);
}

/** Runs a command with its output in sight. */
function shown(file: string, args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${file} ${args.join(' ')} ended with exit code ${code}`)),
    );
  });
}
