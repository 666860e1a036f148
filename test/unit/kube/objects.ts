import { defineKind, type Existing, type KubeObject } from '../../../src/kube/index.ts';

/** A kind for tests. */
export interface Widget extends KubeObject {
  readonly spec?: { readonly size?: number | undefined } | undefined;
  readonly status?: { readonly ready?: boolean } | undefined;
}

export const Widget = defineKind<Widget>({
  group: 'test.dev',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  namespaced: true,
});

export function widget(
  name: string,
  resourceVersion: number | string,
  more: {
    uid?: string;
    namespace?: string;
    size?: number;
    labels?: Record<string, string>;
    owner?: string;
    generation?: number;
  } = {},
): Existing<Widget> {
  return {
    apiVersion: 'test.dev/v1',
    kind: 'Widget',
    metadata: {
      name,
      namespace: more.namespace ?? 'ns',
      uid: more.uid ?? `uid-${name}`,
      resourceVersion: String(resourceVersion),
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: more.labels,
      generation: more.generation,
      ownerReferences:
        more.owner === undefined
          ? undefined
          : [{ apiVersion: 'test.dev/v1', kind: 'Owner', name: more.owner, uid: more.owner, controller: true }],
    },
    spec: { size: more.size },
  };
}
