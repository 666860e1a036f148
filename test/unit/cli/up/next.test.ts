import { describe, expect, it } from 'vitest';
import { fleetState } from '../../../../src/cli/fleet/state.ts';
import { nextText, type Situation } from '../../../../src/cli/up/next.ts';
import { convergedModel, fleet, now, readyNode } from '../fleet/objects.ts';

const listed = { fleets: [fleet(1, 1)], nodes: [readyNode('flock-0')], models: [convergedModel()], shards: [] };
const situation: Situation = {
  reach: { kubeconfig: '/people/kim/.cache/murmuration/kubeconfig-murmuration' },
  kubectl: '/usr/bin/kubectl',
  namespace: 'default',
  state: fleetState(listed, now),
  env: { HOME: '/people/kim', PATH: '/bin:/usr/bin' },
};

describe('what comes next', () => {
  it('can be copied: kubeconfig, kubectl, the model and a pod by name', () => {
    const text = nextText(situation).join('\n');
    expect(text).toContain('export KUBECONFIG=~/.cache/murmuration/kubeconfig-murmuration');
    expect(text).toContain('  kubectl get vn,mdl,ms  ');
    expect(text).toContain('predict digits');
    expect(text).toContain('/pods/flock-0:8080/proxy/metrics');
  });

  it('names the kubectl that was built where none is on PATH, and the namespace where it is not the default', () => {
    const text = nextText({ ...situation, kubectl: '/cache/kubectl', namespace: 'vision' }).join('\n');
    expect(text).toContain('  /cache/kubectl get vn,mdl,ms -n vision');
  });

  it('leaves out what is set or not there', () => {
    const state = fleetState({ ...listed, nodes: [], models: [] }, now);
    const text = nextText({ ...situation, reach: { context: 'prod' }, state }).join('\n');
    expect(text).not.toContain('KUBECONFIG');
    expect(text).not.toContain('predict');
    expect(text).not.toContain('--raw');
  });
});
