import type { TestProject } from 'vitest/node';
import { type Access, startControlPlane } from './control-plane.ts';
import { installKinds } from './harness.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    apiServer: Access;
  }
}

let stop = async (): Promise<void> => {};

/** Once a run: a real API server with our kinds in it. Tests reach it through harness.ts. */
export async function setup(project: TestProject): Promise<void> {
  const controlPlane = await startControlPlane();
  const stopAndLeave = (signal: NodeJS.Signals): void => {
    void controlPlane.stop().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  process.once('SIGINT', stopAndLeave);
  process.once('SIGTERM', stopAndLeave);
  try {
    const { url, ca, token, kubeconfig } = controlPlane;
    await installKinds(controlPlane);
    project.provide('apiServer', { url, ca, token, kubeconfig });
  } catch (cause) {
    await controlPlane.stop();
    throw cause;
  }
  stop = async () => {
    process.off('SIGINT', stopAndLeave);
    process.off('SIGTERM', stopAndLeave);
    await controlPlane.stop();
  };
}

/** Ends what setup started. */
export const teardown = (): Promise<void> => stop();
