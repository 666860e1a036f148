/** The state of fleets as people read it. Pure. */
import type { Problem } from '../fleet/problems.ts';
import type { FleetState, ModelLine, ValidatorLine } from '../fleet/state.ts';
import { bar } from './bar.ts';
import { duration } from './duration.ts';
import { count, measure, part, plural, share } from './numbers.ts';
import { type Column, cut, table } from './table.ts';

const barWidth = 20;
/** Of a validator's chunks. */
const chunksWidth = 8;

const columns: readonly Column<ValidatorLine>[] = [
  { head: 'VALIDATOR', cell: (line) => line.name },
  { head: 'READY', cell: (line) => line.readyText },
  { head: 'PEERS', cell: (line) => count(line.peers) },
  { head: 'CHUNKS', cell: ({ chunks }) => (chunks === undefined ? '-' : chunksText(chunks)) },
  { head: 'UPDATES', cell: (line) => count(line.updates) },
  { head: 'LOSS', cell: (line) => measure(line.loss) },
  { head: 'ACCURACY', cell: (line) => share(line.accuracy) },
  { head: 'REPUTATION', cell: (line) => share(line.reputation) },
  { head: 'NODE', cell: (line) => line.nodeName ?? '-' },
];

/** Lines for a terminal of `width` characters: a line a model, the table of validators, the problems. */
export function fleetText(state: FleetState, width: number): readonly string[] {
  if (state.verdict === 'empty') {
    return ['No fleet and no model here.', 'Next:  kubectl apply -f manifests/validator.yaml, or another --namespace'];
  }
  return [
    ...state.models.map((model) => cut(modelText(model), width)),
    ...table(columns, state.validators, width),
    ...problemsText(state.problems),
  ];
}

/** `digits   accuracy 0.957 of 0.95  ▕████▏  version bafy…q3e certified by 4 of 4   converged after 58 s` */
export function modelText(model: ModelLine): string {
  const drawn = model.target === undefined ? '' : `${bar(progress(model), barWidth)}  `;
  return `${model.name}   ${targetText(model)}  ${drawn}${versionText(model)}   ${progressText(model)}`;
}

/** `▕████    ▏ 12/24`: chunks held of those assigned. */
function chunksText({ held, assigned }: NonNullable<ValidatorLine['chunks']>): string {
  return `${bar(assigned === 0 ? 1 : held / assigned, chunksWidth)} ${part(held, assigned)}`;
}

/** One line for logs: `digits: accuracy 0.874 of 0.95, 1 204 updates; 4 of 4 validators ready`. */
export function fleetLineText(state: FleetState): string {
  const ready = state.validators.filter((line) => line.ready).length;
  const wanted = Math.max(
    state.validators.length,
    state.fleets.reduce((sum, fleet) => sum + fleet.desiredReplicas, 0),
  );
  const models = state.models.map(
    (model) => `${model.name}: ${targetText(model)}, ${plural(model.updates ?? 0, 'update')}, ${versionText(model)}`,
  );
  return [...models, `${count(ready)} of ${plural(wanted, 'validator')} ready`].join('; ');
}

/** `✖ ValidatorNode flock-2: VolumeFull: ...`, a line a problem; objects that suffer the same share one. */
export function problemsText(problems: readonly Problem[]): readonly string[] {
  const groups = Map.groupBy(problems, ({ kind, reason, message }) => `${kind}\n${reason}\n${message}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return [`✖ ${first.kind} ${group.map((one) => one.name).join(', ')}: ${first.reason}: ${first.message}`];
  });
}

/** How far a model is on its way to the target, 0..1; 1 without one. */
export function progress(model: ModelLine): number {
  const { target, accuracy, loss } = model;
  if (target === undefined || model.converged) return 1;
  if (target.metric === 'loss') return loss === undefined || loss <= 0 ? 0 : Math.min(1, target.value / loss);
  return accuracy === undefined || target.value <= 0 ? 0 : Math.min(1, accuracy / target.value);
}

function targetText(model: ModelLine): string {
  const { target } = model;
  if (target?.metric === 'loss') return `loss ${measure(model.loss)} of ${target.value}`;
  const of = target === undefined ? '' : ` of ${target.value}`;
  return `accuracy ${share(model.accuracy)}${of}`;
}

function versionText({ version }: ModelLine): string {
  if (version === undefined) return 'no version yet';
  const by = version.certifiedBy === undefined ? '' : ` certified by ${version.certifiedBy}`;
  return `version ${version.short}${by}`;
}

function progressText(model: ModelLine): string {
  if (model.converged) {
    const after = model.timeToTarget ?? model.convergedAfter;
    return after === undefined ? 'converged' : `converged after ${duration(after)}`;
  }
  if ((model.updates ?? 0) === 0) return 'starting';
  return model.timeLeft === undefined ? 'learning' : `learning, about ${duration(model.timeLeft)} left`;
}
