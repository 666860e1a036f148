import { refuse, wholeNumber } from '../../parts.ts';
import { BATCH_SIZE, runOf, USUAL_RUNS } from './runs.ts';

/** Flags of part `processes`, for parseArgs. */
export const PROCESS_FLAGS = {
  runs: { type: 'string', default: USUAL_RUNS.join(',') },
  updates: { type: 'string' },
  'local-steps': { type: 'string' },
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '20' },
  minutes: { type: 'string', default: '30' },
  flower: { type: 'string', default: 'flwr' },
  folder: { type: 'string' },
} as const;

export const PROCESS_HELP = `Of part processes, in which real validators learn on this machine, each in a process of its own (--nodes, default 8):
  --runs NAMES     what they learn, with commas: digits or mnist, mlp or cnn, iid or byLabel
                   (default ${USUAL_RUNS.join(',')})
  --updates N      of each validator, instead of those that the run has
  --local-steps N  mini-batches (of ${BATCH_SIZE}) of an update, between two exchanges, instead of those that the run has
  --rounds N       rounds of utilisation_pct; the figure is the median (default 3)
  --seconds N      how long it is measured in each, beside and without gossip (default 20)
  --minutes N      what is not done by then is not done (default 30)
  --flower none    do not install and run Flower, on the runs with mlp and iid
  --folder FOLDER  where the processes keep their files (default: the folder for temporary files)`;

export interface ProcessFlags {
  /** Names of runs. */
  readonly runs: readonly string[];
  readonly changed: { readonly updates?: number; readonly localSteps?: number };
  readonly rounds: number;
  readonly seconds: number;
  readonly minutes: number;
  readonly isWithFlower: boolean;
  readonly folder?: string;
}

/** Reads them; ends the process where one makes no sense. */
export function processFlags(
  values: { readonly [flag in keyof typeof PROCESS_FLAGS]?: string | undefined },
): ProcessFlags {
  const number = (flag: keyof typeof PROCESS_FLAGS): number => wholeNumber(flag, values[flag] ?? '');
  const runs = values.runs?.split(',') ?? [];
  for (const name of runs) {
    try {
      runOf(name);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refuse(`--runs: ${error.message}`);
    }
  }
  if (values.flower !== 'flwr' && values.flower !== 'none') refuse(`--flower ${values.flower}: give flwr or none.`);
  return {
    runs,
    changed: {
      ...(values.updates === undefined ? {} : { updates: number('updates') }),
      ...(values['local-steps'] === undefined ? {} : { localSteps: number('local-steps') }),
    },
    rounds: number('rounds'),
    seconds: number('seconds'),
    minutes: number('minutes'),
    isWithFlower: values.flower === 'flwr',
    ...(values.folder === undefined ? {} : { folder: values.folder }),
  };
}
