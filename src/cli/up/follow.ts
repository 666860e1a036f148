/** Shows the fleet while it learns: a table redrawn in place on a terminal, a line every 10 s elsewhere. */
import {
  ConnectionFailed,
  DeadlineExceeded,
  InternalError,
  ServerTimeout,
  ServiceUnavailable,
  TooManyRequests,
} from '../../kube/index.ts';
import type { Connection } from '../cluster/connection.ts';
import { inWords } from '../cluster/connection.ts';
import { type CommandError, reasonOf, timedOut } from '../errors.ts';
import type { Problem } from '../fleet/problems.ts';
import { readFleets } from '../fleet/read.ts';
import type { FleetState } from '../fleet/state.ts';
import type { Io } from '../io.ts';
import { duration } from '../render/duration.ts';
import { fleetLineText, fleetText, problemsText } from '../render/fleet.ts';
import { LiveBlock } from '../render/live.ts';
import { missingOf, type Wished } from './missing.ts';

const pause = 1000;
const lineEvery = 10_000;

/** What to wait for, and for how long (milliseconds). */
export interface Wanted extends Wished {
  readonly timeout: number;
}

/** Follows until nothing is missing; gives the last state. @throws CommandError (timed out) with what is still missing */
export async function follow(connection: Connection, wanted: Wanted, io: Io): Promise<FleetState> {
  const begun = io.now();
  const show = io.err.isTTY === true ? onTerminal(io) : inLines(io);
  for (;;) {
    const seen = await look(connection, io);
    const spent = io.now() - begun;
    if ('state' in seen) {
      const missing = missingOf(seen.state, wanted);
      show(seen.state, missing.length === 0);
      if (missing.length === 0) return seen.state;
      if (spent >= wanted.timeout) throw late(missing, seen.state.problems, spent, connection.namespace);
    } else {
      if (spent >= wanted.timeout) throw seen.error;
      io.err.write(` · ${reasonOf(seen.error)} Trying again.\n`);
    }
    await io.wait(pause, io.signal);
  }
}

/** An API server that is away for a moment is waited for; whatever else goes wrong is not. */
async function look(
  { client, namespace, server }: Connection,
  io: Io,
): Promise<{ readonly state: FleetState } | { readonly error: unknown }> {
  try {
    return { state: await readFleets(client, namespace, io.now, io.signal) };
  } catch (error) {
    io.signal.throwIfAborted();
    if (away.some((kind) => error instanceof kind)) return { error: inWords(error, server) };
    throw error;
  }
}

const away = [ConnectionFailed, DeadlineExceeded, ServiceUnavailable, ServerTimeout, TooManyRequests, InternalError];

type Show = (state: FleetState, last: boolean) => void;

function onTerminal(io: Io): Show {
  const block = new LiveBlock(io.err);
  return (state, last) => {
    const lines = fleetText(state, io.err.columns ?? 80);
    if (last) block.finish(lines);
    else block.draw(lines);
  };
}

function inLines(io: Io): Show {
  let told = Number.NEGATIVE_INFINITY;
  let known: readonly Problem[] = [];
  return (state, last) => {
    const fresh = state.problems.filter((one) => !known.some((old) => sameProblem(old, one)));
    known = state.problems;
    for (const line of problemsText(fresh)) io.err.write(` ${line}\n`);
    if (last) io.err.write(`${fleetText(state, Number.POSITIVE_INFINITY).join('\n')}\n`);
    else if (io.now() - told >= lineEvery) {
      told = io.now();
      io.err.write(` · ${fleetLineText(state)}\n`);
    }
  };
}

/** Messages of one problem may name one validator after another: that is no news. */
const sameProblem = (a: Problem, b: Problem): boolean =>
  a.kind === b.kind && a.name === b.name && a.reason === b.reason;

function late(
  missing: readonly string[],
  problems: readonly Problem[],
  spent: number,
  namespace: string,
): CommandError {
  return timedOut(
    [`Not there after ${duration(spent)}: ${missing.join('; ')}.`, ...problemsText(problems)].join('\n'),
    `All goes on running. Look: kubectl describe vf,mdl -n ${namespace}; kubectl get events -n ${namespace}; murmur top -n ${namespace}. ` +
      'Wait longer: murmur up --timeout 30m',
  );
}
