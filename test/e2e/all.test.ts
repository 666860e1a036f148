// One file, so that the order is fixed and one cluster is not asked for everything at once. While these run, the fleet
// whose data are dealt out by label learns in a namespace of its own; it is looked at when all else is done.
import './flock.ts';
import './docs.ts';
import './rollout.ts';
import './strangers.ts';
import './bad-input.ts';
import './operator-away.ts';
import './by-label.ts';
import './removal.ts';
