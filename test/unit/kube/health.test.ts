import { describe, expect, it } from 'vitest';
import { Client, Controller, Manager, type Transport, type TransportAnswer } from '../../../src/kube/index.ts';
import { StillClock } from './clock.ts';
import { Widget } from './objects.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** One quiet kind on a network that may hang. Time passes on the clock of the test. */
class QuietNetwork implements Transport {
  readonly host = 'quiet';
  /** `hangs`: nothing is answered. `stalls`: watches are accepted, and nothing comes. */
  is: 'up' | 'hangs' | 'stalls' = 'up';
  readonly #clock: StillClock;

  constructor(clock: StillClock) {
    this.#clock = clock;
  }

  async request({ path, signal }: Parameters<Transport['request']>[0]): Promise<TransportAnswer> {
    if (this.is === 'hangs') await over(signal);
    const asked = new URL(path, 'http://quiet').searchParams;
    const line = asked.has('sendInitialEvents')
      ? {
          type: 'BOOKMARK',
          object: { metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } } },
        }
      : { items: [], metadata: { resourceVersion: '9' } };
    const watch = asked.has('watch');
    const seconds = Number(asked.get('timeoutSeconds'));
    const body = async function* (this: QuietNetwork): AsyncGenerator<Uint8Array> {
      if (!watch || asked.has('sendInitialEvents')) yield Buffer.from(`${JSON.stringify(line)}\n`);
      if (!watch) return;
      const stalled = this.is === 'stalls';
      await Promise.race([
        over(signal),
        new Promise<void>((resolve) => {
          this.#clock.after(seconds * SECOND, () => {
            if (!stalled && this.is === 'up') resolve();
          });
        }),
      ]);
    };
    return { status: 200, retryAfter: undefined, body: body.call(this) };
  }

  refreshCredentials(): void {}

  async close(): Promise<void> {}
}

const over = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

async function quietManager() {
  const clock = new StillClock();
  const transport = new QuietNetwork(clock);
  const manager = new Manager({
    client: new Client({ transport, clock }),
    fieldManager: 'm',
    identity: 'm-1',
    clock,
    random: () => 0.99,
  });
  await manager.add(new Controller(Widget).run(async () => undefined)).start();
  return { clock, transport, manager };
}

describe('the health of a manager, with the times that it has by itself', () => {
  it('is good for hours in which nothing happens', async () => {
    const { clock, manager } = await quietManager();
    for (let minute = 0; minute < 120; minute += 1) {
      await clock.pass(MINUTE / 2);
      expect(manager.readyz()).toEqual({ ok: true, problems: [] });
    }
    await manager.stop();
  });

  it.each([
    ['hangs', 60],
    ['stalls', 115],
  ] as const)(
    'is bad soon after the network %s (%i s), stays bad, and is good again once it does not',
    async (is, seconds) => {
      const { clock, transport, manager } = await quietManager();
      await clock.pass(10 * MINUTE);
      transport.is = is;
      await clock.pass(seconds * SECOND);
      expect(manager.readyz().problems).toEqual([
        expect.stringMatching(/^watch of Widget.test.dev: nothing heard for/),
      ]);
      expect(manager.healthz().ok).toBe(true);
      for (let passed = 0; passed < 130; passed += 1) {
        await clock.pass(SECOND);
        expect(manager.readyz().ok).toBe(false);
      }
      expect(manager.healthz().ok).toBe(false);
      transport.is = 'up';
      await clock.pass(2 * MINUTE);
      expect([manager.readyz(), manager.healthz()]).toEqual(Array(2).fill({ ok: true, problems: [] }));
      await manager.stop();
    },
  );
});
