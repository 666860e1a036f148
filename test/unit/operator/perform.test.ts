import { describe, expect, it } from 'vitest';
import { AlreadyExists, Conflict, NotFound, Pod, type ReconcileContext } from '../../../src/kube/index.ts';
import type { Action } from '../../../src/operator/action.ts';
import { perform } from '../../../src/operator/perform.ts';

const labels = { 'murmuration.dev/node': 'solo' };
const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'solo', namespace: 'ns', labels } };
const creation: Action = { do: 'create', kind: Pod, object: pod };
const deletion: Action = { do: 'delete', kind: Pod, key: { namespace: 'ns', name: 'solo' }, uid: 'uid-solo' };

/** Performs the action with a client that answers every write so; tells what was said to be done. */
async function performing(action: Action, answer: () => unknown): Promise<readonly Action[]> {
  const done: Action[] = [];
  const write = async (): Promise<unknown> => answer();
  const client = { create: write, delete: write, find: async () => pod };
  const context = { client } as unknown as ReconcileContext;
  await perform(context, [action], { onDone: (one) => done.push(one) });
  return done;
}

const error = (of: new (init: { attempt: string; code: number }) => Error) => (): never => {
  throw new of({ attempt: 'write', code: 409 });
};

describe('what was done', () => {
  it('is told once it is done', async () => {
    expect(await performing(creation, () => pod)).toEqual([creation]);
    expect(await performing(deletion, () => undefined)).toEqual([deletion]);
  });

  it('is not told where it was so already', async () => {
    expect(await performing(creation, error(AlreadyExists))).toEqual([]);
    expect(await performing(deletion, error(NotFound))).toEqual([]);
  });

  it('is not taken for done where the server saw a conflict', async () => {
    await expect(performing(deletion, error(Conflict))).rejects.toThrow(Conflict);
  });
});
