import { defineConfig } from 'vitest/config';

/**
 * Four projects, from cheap to dear. `unit` needs nothing but Node, `apiserver` and `fault` (the short form of the fault
 * bench) a real kube-apiserver and etcd (KUBEBUILDER_ASSETS), `e2e` a real cluster (KUBECONFIG) with the operator's image
 * in it.
 */
export default defineConfig({
  test: {
    // Tests wait for sockets and disks more than they compute: one worker more than vitest takes by itself on two cores.
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'apiserver',
          include: ['test/apiserver/**/*.test.ts'],
          globalSetup: ['test/apiserver/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          globalSetup: ['test/apiserver/setup.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: { name: 'fault-long', include: ['test/fault/**/*.long.ts'], testTimeout: 300_000, hookTimeout: 240_000 },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/all.test.ts'],
          globalSetup: ['test/e2e/setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          sequence: { concurrent: false },
        },
      },
    ],
  },
});
