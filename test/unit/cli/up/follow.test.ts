import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../../src/cli/cluster/connection.ts';
import { exitCodeOf } from '../../../../src/cli/errors.ts';
import type { Listed } from '../../../../src/cli/fleet/listed.ts';
import { fleetState } from '../../../../src/cli/fleet/state.ts';
import { follow } from '../../../../src/cli/up/follow.ts';
import { missingOf } from '../../../../src/cli/up/missing.ts';
import { ConnectionFailed, Forbidden } from '../../../../src/kube/index.ts';
import { fakeIo } from '../fake-io.ts';
import { condition, convergedModel, fleet, model, node, now, readyNode } from '../fleet/objects.ts';

const learning: Listed = {
  fleets: [fleet(1, 0)],
  nodes: [node('flock-0')],
  models: [model({ accuracy: '0.874', updates: 500 })],
  shards: [],
};
const done: Listed = { fleets: [fleet(1, 1)], nodes: [readyNode('flock-0')], models: [convergedModel()], shards: [] };
const wished = { models: ['digits'], fleets: ['flock'], nodes: [] };

/** A cluster that shows one picture after another, and the last one for ever. */
function cluster(...pictures: readonly (Listed | Error)[]): Connection {
  let looks = 0;
  const plurals = {
    validatorfleets: 'fleets',
    validatornodes: 'nodes',
    models: 'models',
    modelshards: 'shards',
  } as const;
  const list = async ({ plural }: { plural: keyof typeof plurals }) => {
    const picture = pictures[Math.min(Math.floor(looks / 4), pictures.length - 1)];
    looks += 1;
    if (picture instanceof Error || picture === undefined) throw picture;
    return { items: picture[plurals[plural]], resourceVersion: '1' };
  };
  return { client: { list }, server: 'https://there', namespace: 'default' } as unknown as Connection;
}

describe('following a fleet', () => {
  it('ends when the model has converged and the fleet is ready', async () => {
    const io = fakeIo();
    const state = await follow(cluster(learning, learning, done), { ...wished, timeout: 60_000 }, io);
    expect(state.verdict).toBe('converged');
    expect(io.written.err()).toContain('converged after 58 s');
  });

  it('does not end while one of the things wished is missing', async () => {
    const halfway = { ...done, fleets: [fleet(2, 1)] };
    const io = fakeIo();
    const begun = io.now();
    await follow(cluster(halfway, halfway, done), { ...wished, timeout: 60_000 }, io);
    expect(io.now() - begun).toBe(2000);
  });

  it('says a line every 10 s where there is no terminal', async () => {
    const io = fakeIo();
    const pictures = Array.from({ length: 25 }, () => learning);
    await follow(cluster(...pictures, done), { ...wished, timeout: 60_000 }, io);
    expect(io.written.err().match(/^ · digits: accuracy 0\.874 of 0\.95/gm)).toHaveLength(3);
  });

  it('redraws in place on a terminal', async () => {
    const io = fakeIo({ terminal: true });
    await follow(cluster(learning, done), { ...wished, timeout: 60_000 }, io);
    expect(io.written.err()).toContain('\u001b[3A');
  });

  it('tells a problem at once, and once', async () => {
    const io = fakeIo();
    const full = node('flock-0', { conditions: [condition('Ready', 'False', 'VolumeFull', 0, 'Ask for more.')] });
    const troubled = { ...learning, nodes: [full] };
    const otherWords = { ...full, status: { conditions: [condition('Ready', 'False', 'VolumeFull', 0, 'Ask anew.')] } };
    const pictures = [troubled, { ...learning, nodes: [otherWords] }, troubled];
    await follow(cluster(...pictures, done), { ...wished, timeout: 60_000 }, io);
    expect(io.written.err().match(/VolumeFull/g)).toHaveLength(1);
  });

  it('tells a problem again when time is up', async () => {
    const full = node('flock-0', { conditions: [condition('Ready', 'False', 'VolumeFull', 0, 'Ask for more.')] });
    const failure = follow(cluster({ ...learning, nodes: [full] }), { ...wished, timeout: 3000 }, fakeIo());
    await expect(failure).rejects.toThrow('✖ ValidatorNode flock-0: VolumeFull: Ask for more.');
  });

  it('ends in time with code 3, what is missing and how to look', async () => {
    const failure = follow(cluster(learning), { ...wished, timeout: 5000 }, fakeIo());
    await expect(failure).rejects.toThrow(
      'Not there after 5 s: model digits has accuracy 0.874 of 0.95 (after 500 updates); fleet flock has 0 of 1 validator ready.',
    );
    expect(exitCodeOf(await failure.catch((error: unknown) => error))).toBe(3);
  });

  it('waits for an API server that is away for a moment', async () => {
    const away = new ConnectionFailed({ attempt: 'list models', code: 0 }, 'refused');
    const io = fakeIo();
    await follow(cluster(learning, away, done), { ...wished, timeout: 60_000 }, io);
    expect(io.written.err()).toContain('The API server https://there does not answer');
  });

  it('gives up on one that stays away', async () => {
    const away = new ConnectionFailed({ attempt: 'list models', code: 0 }, 'refused');
    await expect(follow(cluster(away), { ...wished, timeout: 3000 }, fakeIo())).rejects.toThrow('does not answer');
  });

  it('does not wait where it may not look', async () => {
    const no = new Forbidden({ attempt: 'list models', code: 403 }, 'no');
    const io = fakeIo();
    const begun = io.now();
    await expect(follow(cluster(no), { ...wished, timeout: 60_000 }, io)).rejects.toBeInstanceOf(Forbidden);
    expect(io.now()).toBe(begun);
  });

  it('ends when it is asked to', async () => {
    const io = fakeIo();
    io.stop.abort(new Error('stopped by SIGINT'));
    await expect(follow(cluster(learning), { ...wished, timeout: 60_000 }, io)).rejects.toThrow('stopped by SIGINT');
  });
});

describe('what is missing', () => {
  const of = (listed: Listed, names: Partial<typeof wished>) =>
    missingOf(fleetState(listed, now), { models: [], fleets: [], nodes: [], ...names });

  it('is nothing where nothing is wished', () => expect(of(learning, {})).toEqual([]));
  it('is an object that is not there', () => {
    expect(of(learning, { models: ['other'] })).toEqual(['model other is not in the cluster']);
    expect(of(learning, { fleets: ['other'] })).toEqual(['fleet other is not in the cluster']);
  });
  it('is a model without a target until it is ready', () => {
    const open = model({}, {});
    const ready = model({ conditions: [condition('Ready', 'True', 'Reconciled')] }, {});
    expect(of({ ...done, models: [open] }, { models: ['digits'] })).toEqual(['model digits is not ready']);
    expect(of({ ...done, models: [ready] }, { models: ['digits'] })).toEqual([]);
  });
  it('is a model that has converged until its version is held as often as asked', () => {
    const converged = convergedModel();
    const shards = { ready: 1, total: 2, summary: '1/2' };
    const copied = { ...converged, status: { ...converged.status, shards } };
    expect(of({ ...done, models: [copied] }, { models: ['digits'] })).toEqual([
      'model digits has 1 of 2 shards replicated',
    ]);
    expect(of(done, { models: ['digits'] })).toEqual([]);
  });
  it('is a single validator until it is ready', () => {
    expect(of(learning, { nodes: ['flock-0'] } as never)).toEqual([
      'validator flock-0 is not ready (no: not seen yet)',
    ]);
    expect(of(done, { nodes: ['flock-0'] } as never)).toEqual([]);
  });
});
