import { defineKind, type KubeObject } from '../../../src/kube/index.ts';
import type { TestApi } from '../harness.ts';

/** A kind of the tests of the runtime, which knows nothing of the product's. */
export interface Gadget extends KubeObject {
  readonly spec?: { readonly size?: number | undefined; readonly replicas?: number | undefined } | undefined;
  readonly status?: { readonly seen?: number | undefined; readonly words?: readonly string[] | undefined } | undefined;
}

export const Gadget = defineKind<Gadget>({
  group: 'kube.test',
  version: 'v1',
  kind: 'Gadget',
  plural: 'gadgets',
  namespaced: true,
});

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.kube.test' },
  spec: {
    group: 'kube.test',
    scope: 'Namespaced',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.seen' } },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { size: { type: 'integer', maximum: 1000 }, replicas: { type: 'integer', default: 1 } },
              },
              status: {
                type: 'object',
                properties: { seen: { type: 'integer' }, words: { type: 'array', items: { type: 'string' } } },
              },
            },
          },
        },
      },
    ],
  },
};

/** Makes the API server know gadgets, unless another file has. */
export async function installGadgets(api: TestApi): Promise<void> {
  const { code } = await api.call('GET', '/apis/kube.test/v1/gadgets');
  if (code !== 200) await api.install([crd]);
}

export function gadget(namespace: string, name: string, spec: Gadget['spec'] = { size: 1 }): Gadget {
  return { apiVersion: 'kube.test/v1', kind: 'Gadget', metadata: { namespace, name }, spec };
}
