import { describe, expect, it } from 'vitest';
import { type ConfigMap, defineKind, type KubeObject, Pod } from '../../../src/kube/index.ts';

interface Widget extends KubeObject {
  readonly spec: { readonly size: number };
  readonly status?: { readonly ready: boolean } | undefined;
}
const Widget = defineKind<Widget>({
  group: 'test.dev',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  namespaced: true,
});

describe('object types', () => {
  it('describe raw JSON: times are strings, absent is undefined, literals fit', () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', labels: undefined },
      spec: {
        containers: [{ name: 'c', image: 'i', livenessProbe: { exec: { command: ['true'] } }, env: undefined }],
        terminationGracePeriodSeconds: undefined,
      },
    };
    const started: string | undefined = pod.status?.startTime;
    const data: ConfigMap['data'] = { _x: 'y' };
    expect(started).toBeUndefined();
    expect(data).toEqual({ _x: 'y' });
    expect(Pod.plural).toBe('pods');
    expect(Widget.group).toBe('test.dev');
  });
});
