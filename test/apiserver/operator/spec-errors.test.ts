import { afterEach, beforeEach, expect, it } from 'vitest';
import { NODE_CONDITIONS } from '../../../src/api/index.ts';
import { has, node, Pod, type Stage, setStage, ValidatorNode } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const until = (reason: string, status: string) =>
  stage.until(`solo is ${status} for ${reason}`, async () => {
    const found = await stage.get(ValidatorNode, 'solo');
    return found !== undefined && has(found, NODE_CONDITIONS.Ready, status, reason) ? found : undefined;
  });

it.each([
  ['that makes no valid pod', { hostname: 'not a host name' }, /spec\.hostname/],
  ['that makes no pod at all', { containers: 'none' }, /containers/],
])('a pod template %s is told, and the pod that runs goes on', async (_, spec, field) => {
  await stage.apply(node('solo'));
  await until('Reconciled', 'True');
  const before = await stage.get(Pod, 'solo');
  await stage.apply(node('solo', { podTemplate: { spec } }));
  const refused = await until('SpecInvalid', 'False');
  expect(refused.status?.conditions?.[0]?.message).toMatch(field);
  expect((await stage.get(Pod, 'solo'))?.metadata).toMatchObject({ uid: before?.metadata.uid });
  await stage.apply(node('solo'));
  await until('Reconciled', 'True');
  expect((await stage.get(Pod, 'solo'))?.metadata.uid).toBe(before?.metadata.uid);
});
