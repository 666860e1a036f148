import { describe } from 'vitest';
import { badInput } from './bad-input.ts';
import { byHand } from './by-hand.ts';
import { byLabel } from './by-label.ts';
import { byzantine } from './byzantine.ts';
import { docs } from './docs.ts';
import { flock } from './flock.ts';
import { operatorAway } from './operator-away.ts';
import { removal } from './removal.ts';
import { rollout } from './rollout.ts';
import { strangers } from './strangers.ts';
import { tensorflow } from './tensorflow.ts';
import { users } from './users.ts';

/** These parts run at once, each in its own order. */
const sideBySide = (...parts: readonly (() => void)[]): void => {
  describe('side by side', () => {
    for (const part of parts) {
      describe.concurrent('in its own order', () => {
        describe(part.name, { concurrent: false }, part);
      });
    }
  });
};

// One file, so that the order is said. While these run, the fleet whose data are dealt out by label learns in a
// namespace of its own; it is looked at when all else is done.
sideBySide(function theFleet() {
  flock();
  docs();
  users();
  rollout();
  strangers();
}, badInput);
sideBySide(operatorAway, byHand, tensorflow);
byLabel();
byzantine();
removal();
