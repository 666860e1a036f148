import { setTimeout } from 'node:timers/promises';
import { Namespace, type Random } from '../../src/kube/index.ts';
import type { Stage } from '../apiserver/operator/stage.ts';
import type { Asked, Verb } from './asked.ts';
import type { JumpingClock } from './clock.ts';
import type { Fault } from './fault.ts';
import type { FaultProxy } from './proxy.ts';

/** What a fault works on. */
export interface Scene {
  readonly stage: Stage;
  readonly proxy: FaultProxy;
  readonly clock: JumpingClock;
  readonly random: Random;
  /** Long faults last so long. ms */
  readonly awayMs: number;
}

/** Begins a fault; what it answers ends it. */
export type Begin = (scene: Scene) => () => Promise<void> | void;

const is =
  (...verbs: readonly Verb[]) =>
  ({ verb }: Asked): boolean =>
    verbs.includes(verb);

/** The fault befalls the first `times` requests (or watch events) for each resource, of those that are meant. */
function each(proxy: FaultProxy, on: (asked: Asked) => boolean, fault: Fault, times: number): void {
  const seen = new Map<string, number>();
  const fits = (asked: Asked): boolean => {
    if (!on(asked)) return false;
    const count = (seen.get(asked.resource) ?? 0) + 1;
    seen.set(asked.resource, count);
    return count <= times;
  };
  proxy.rule({ on: fits, fault });
}

/**
 * Befalls this share of those that are meant, by chance: with a count, two writes that alternate (a status that is tried
 * again, the lease) could meet the fault in step for as long as it lasts.
 */
function some({ proxy, random }: Scene, share: number, on: (asked: Asked) => boolean, fault: Fault): void {
  proxy.rule({ on: (asked) => on(asked) && random() < share, fault });
}

/** Rules that hold until the fault ends. */
const rules =
  (set: (scene: Scene) => void): Begin =>
  (scene) => {
    set(scene);
    return () => scene.proxy.clear();
  };

/** Lists are paged, as where the server does not send them on the watch. */
function paged(proxy: FaultProxy): void {
  proxy.pageSize = 2;
  const sent = ({ verb, url }: Asked): boolean => verb === 'watch' && url.searchParams.has('sendInitialEvents');
  proxy.rule({ on: sent, fault: { do: 'refuse', code: 422, reason: 'Invalid' } });
}

const tooBusy = { do: 'refuse', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 } as const;
const expired = { code: 410, reason: 'Expired' } as const;
const resumes = ({ verb, url }: Asked): boolean => verb === 'watch' && !url.searchParams.has('sendInitialEvents');

/** Goes on from time to time until the fault ends. */
const repeatedly =
  (ms: number, act: (scene: Scene) => Promise<void> | void): Begin =>
  (scene) => {
    const stop = new AbortController();
    const going = (async () => {
      while (!stop.signal.aborted) {
        await setTimeout(ms * (0.5 + scene.random()), undefined, { signal: stop.signal }).catch(() => undefined);
        if (!stop.signal.aborted) await act(scene);
      }
    })();
    return async () => {
      stop.abort();
      await going;
      scene.proxy.clear();
    };
  };

/** Every fault by name. They last while the story goes on, and befall each kind more than once. */
export const faults: Readonly<Record<string, Begin>> = {
  'connections reset': repeatedly(6_000, ({ proxy }) => proxy.reset()),
  'watches reset inside an event': rules(({ proxy }) =>
    each(proxy, is('watch'), { do: 'break', where: 'inside', how: 'reset' }, 3),
  ),
  'watches that end inside an event': rules(({ proxy }) =>
    each(proxy, is('watch'), { do: 'break', where: 'inside', how: 'end' }, 3),
  ),
  'half-open watches': rules(({ proxy }) => each(proxy, is('watch'), { do: 'mute' }, 2)),
  'half-open network': (scene) => {
    const stop = new AbortController();
    const going = setTimeout(1_500, undefined, { signal: stop.signal })
      .then(async () => {
        scene.proxy.silent = true;
        await setTimeout(scene.awayMs, undefined, { signal: stop.signal });
      })
      .catch(() => undefined)
      .then(() => {
        scene.proxy.silent = false;
      });
    return async () => {
      stop.abort();
      await going;
    };
  },
  '410 when a watch begins': rules(({ proxy }) => {
    each(proxy, resumes, { do: 'refuse', ...expired }, 2);
    each(proxy, is('watch'), { do: 'break', where: 'before', how: 'end' }, 2);
  }),
  '410 in the middle of a watch': rules(({ proxy }) => each(proxy, is('watch'), { do: 'error', ...expired }, 3)),
  '410 between the pages of a list': rules(({ proxy }) => {
    paged(proxy);
    const goesOn = ({ verb, url }: Asked): boolean => verb === 'list' && url.searchParams.has('continue');
    each(proxy, goesOn, { do: 'refuse', ...expired }, 2);
    each(proxy, is('watch'), { do: 'error', ...expired }, 2);
  }),
  '429 for lists and watches': rules(({ proxy }) => {
    paged(proxy);
    each(proxy, is('list'), tooBusy, 2);
    each(proxy, resumes, tooBusy, 2);
    each(proxy, is('watch'), { do: 'break', where: 'before', how: 'reset' }, 1);
  }),
  '429 for writes': rules((scene) => some(scene, 1 / 3, is('write'), tooBusy)),
  '500 in the middle of a watch': rules(({ proxy }) =>
    each(proxy, is('watch'), { do: 'error', code: 500, reason: 'InternalError' }, 3),
  ),
  'events that come twice': rules((scene) => some(scene, 1, is('watch'), { do: 'repeat' })),
  'bodies that drip': rules((scene) => some(scene, 1, () => true, { do: 'drip', bytes: 400, everyMs: 5 })),
  'the API server is away': (scene) => {
    const stop = new AbortController();
    const going = (async () => {
      await setTimeout(1_500, undefined, { signal: stop.signal }).catch(() => undefined);
      await scene.proxy.away();
      await setTimeout(scene.awayMs, undefined, { signal: stop.signal }).catch(() => undefined);
      await scene.proxy.back();
    })();
    return async () => {
      stop.abort();
      await going;
    };
  },
  'a conflict on one write in two': rules((scene) =>
    some(scene, 1 / 2, is('write'), { do: 'refuse', code: 409, reason: 'Conflict' }),
  ),
  'answers to writes that are lost': rules((scene) => some(scene, 1 / 3, is('write'), { do: 'lose' })),
  'writes that never arrive': rules((scene) => some(scene, 1 / 3, is('write'), { do: 'reset' })),
  'a server that lags behind after a fail-over': repeatedly(4_000, async ({ stage, proxy }) => {
    const { resourceVersion } = await stage.client.page(Namespace, { limit: 1 });
    await setTimeout(1_000);
    proxy.past(resourceVersion);
    proxy.reset();
    await setTimeout(2_000);
    proxy.present();
  }),
  'an operator that starts anew': repeatedly(6_000, ({ stage }) => stage.restart()),
  'a wall clock that jumps': (scene) => {
    const end = repeatedly(3_000, ({ clock, random }) => clock.stand((random() < 0.5 ? -1 : 1) * 3_600_000))(scene);
    return async () => {
      await end();
      scene.clock.stand(0);
    };
  },
};
