import { expect, it } from 'vitest';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { Rest } from '../../../src/validator/rest.ts';
import { silent } from './fixtures.ts';
import { digits } from './flock.ts';

const wanted = (learning: object): CharterModel => {
  const model = digits();
  return { ...model, spec: { ...model.spec, learning: { ...model.spec.learning, ...learning } } };
};
const target = { metric: 'accuracy', value: '0.9' } as const;

function resting(learning: object = { target, stopAtTarget: true }) {
  const model = wanted(learning);
  const world = {
    now: 0,
    own: 0.95 as number | undefined,
    other: 0.95 as number | null | undefined,
    certified: 500 as number | undefined,
    age: 600,
  };
  const rest = new Rest({
    self: 'me',
    members: () => ['me', 'other'],
    report: (peer) =>
      peer !== 'other' || world.other === undefined
        ? undefined
        : { models: [{ uid: model.uid, age: 0, loss: null, accuracy: world.other, divergence: null }] },
    tasks: () => [{ model, progress: { age: world.age, accuracy: world.own } }],
    certifiedAge: () => world.certified,
    monotonic: () => world.now,
    log: silent,
  });
  const look = (change: Partial<typeof world> = {}) => {
    Object.assign(world, change);
    rest.look();
    return rest.isResting(model.uid);
  };
  return { look, every: model.spec.versions.everyAge };
}

it('rests when all validators have reached the target, and learns on when one is clearly short of it for 30 s', () => {
  const { look } = resting();
  expect(look({ other: 0.89 })).toBe(false);
  expect(look({ other: 0.9 })).toBe(true);
  expect(look({ now: 10_000, other: 0.895 })).toBe(true);
  expect(look({ now: 20_000, other: 0.5 })).toBe(true);
  expect(look({ now: 49_000 })).toBe(true);
  expect(look({ now: 50_000 })).toBe(false);
});

it('takes no word for its own accuracy', () => {
  const { look } = resting();
  expect(look({ own: 0.8, other: 1 })).toBe(false);
  expect(look({ own: undefined })).toBe(false);
});

it('does not begin to rest while a validator is silent, and rests on when one falls silent', () => {
  const { look } = resting();
  expect(look({ other: undefined })).toBe(false);
  expect(look({ other: 0.95 })).toBe(true);
  expect(look({ other: undefined, now: 60_000 })).toBe(true);
});

it('learns on until a version is certified that is no older than everyAge', () => {
  const { look, every } = resting();
  expect(look({ certified: undefined })).toBe(false);
  expect(look({ certified: 100, age: 100 + every })).toBe(false);
  expect(look({ certified: 100 + every })).toBe(true);
});

it.each([{}, { target }, { target, stopAtTarget: false }])('never rests with %o', (learning) => {
  expect(resting({ target: undefined, ...learning }).look()).toBe(false);
});
