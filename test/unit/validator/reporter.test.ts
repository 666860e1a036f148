import { expect, it } from 'vitest';
import { Reporter } from '../../../src/validator/reporter.ts';
import { Sleeps } from './fixtures.ts';

function reporter(publish: () => Promise<void> = async () => undefined) {
  const sleeps = new Sleeps();
  const stop = new AbortController();
  const errors: unknown[] = [];
  const made = new Reporter({ publish, sleep: sleeps.sleep, onError: (error) => errors.push(error) });
  const running = made.run(stop.signal);
  const end = async () => {
    stop.abort();
    await running;
  };
  return { reporter: made, sleeps, errors, end };
}

it('reports every two seconds', async () => {
  let reports = 0;
  const { sleeps, end } = reporter(async () => void reports++);
  await sleeps.next();
  await sleeps.next();
  await end();
  expect(sleeps.asked).toEqual(sleeps.asked.map(() => 2000));
  expect(reports).toBeGreaterThanOrEqual(1);
});

it('reports soon after something has changed, once for what comes together', async () => {
  let reports = 0;
  const { reporter: eager, sleeps, end } = reporter(async () => void reports++);
  eager.hurry();
  eager.hurry();
  await sleeps.until(100);
  expect(reports).toBe(0);
  await sleeps.next(100);
  await sleeps.until(2000, 2);
  expect(reports).toBe(1);
  await end();
});

it('goes on when a report could not be sent', async () => {
  const { sleeps, errors, end } = reporter(async () => {
    throw new Error('too long');
  });
  await sleeps.next();
  await sleeps.until(2000, 2);
  await end();
  expect(errors).toHaveLength(1);
});
