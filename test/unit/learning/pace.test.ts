import { describe, expect, it } from 'vitest';
import { STEADY, TokenAccount } from '../../../src/learning/pace.ts';
import { seeded } from '../../../src/learning/random.ts';

const account = (seed = 1) => new TokenAccount({ capacity: 20, reserve: 10 }, seeded(seed));

describe('a token account', () => {
  it('saves up nine tokens before it sends of itself, and never has more than it holds', () => {
    const one = account();
    for (let wait = 0; wait < 9; wait++) expect(one.proactive()).toBe(0);
    expect(one.tokens).toBe(9);
    let sent = 0;
    for (let wait = 0; wait < 1000; wait++) {
      sent += one.proactive();
      expect(one.tokens).toBeLessThanOrEqual(20);
    }
    // A full account sends in every wait.
    expect(sent).toBeGreaterThan(980);
  });

  it('answers news with a tenth of its tokens, and nothing else with none', () => {
    const one = account();
    for (let wait = 0; wait < 9; wait++) one.proactive();
    for (let i = 0; i < 20; i++) expect(one.reactive(false)).toBe(0);
    expect(one.tokens).toBe(9);
    let answers = 0;
    for (let seed = 0; seed < 400; seed++) {
      const other = account(seed);
      for (let wait = 0; wait < 9; wait++) other.proactive();
      answers += other.reactive(true);
    }
    expect(answers / 400).toBeCloseTo(0.9, 1);
  });

  it('never sends more messages than there were waits, however much news there is', () => {
    const one = account(3);
    let sent = 0;
    for (let wait = 1; wait <= 500; wait++) {
      sent += one.proactive() + one.reactive(true) + one.reactive(true);
      expect(sent).toBeLessThanOrEqual(wait);
    }
    expect(sent).toBeGreaterThan(480);
  });

  it('is not the steady pace: one message a wait', () => {
    expect([STEADY.proactive(), STEADY.reactive(true), STEADY.reacts]).toEqual([1, 0, false]);
  });
});
