import {
  findCondition,
  isTrue,
  LABELS,
  NODE_CONDITIONS,
  nodeName,
  REASONS,
  readyText,
  type ValidatorFleetStatus,
} from '../../api/index.ts';
import type { ValidatorFleet } from '../kinds.ts';
import type { Refusal } from '../refusal.ts';
import { type Judgement, judged, no, progress, yes } from '../verdicts.ts';
import { templateHash } from './children/node.ts';
import { type FleetWorld, type Standing, standings, surplus } from './plan.ts';

/** Why what a validator holds has no other place. */
const HOMELESS = [REASONS.UnderReplicated, REASONS.CapacityExceeded] as const;

/** The status that follows from the world. */
export function fleetStatus(world: FleetWorld, refused: readonly Refusal[] = []): ValidatorFleetStatus {
  const { fleet, members, now } = world;
  const all = standings(world);
  const judgements = judgeFleet(world, all, refused);
  const conditions = judged(fleet.status?.conditions, judgements, fleet.metadata.generation, now);
  const target = templateHash(fleet);
  const converged = judgements.some(({ type, status }) => type === 'Converged' && status === 'True');
  const current = converged ? target : fleet.status?.currentVersion;
  return {
    ...(fleet.metadata.generation === undefined ? {} : { observedGeneration: fleet.metadata.generation }),
    ready: readyText(conditions.find(({ type }) => type === 'Ready')),
    conditions,
    replicas: members.length,
    readyReplicas: members.filter(({ node }) => isTrue(node, NODE_CONDITIONS.Ready)).length,
    updatedReplicas: all.filter(({ current: is, settled }) => is && settled).length,
    selector: `${LABELS.fleet}=${fleet.metadata.name}`,
    ...(current === undefined ? {} : { currentVersion: current }),
    targetVersion: target,
  };
}

/** Every condition of a ValidatorFleet, Ready first. */
function judgeFleet(
  world: FleetWorld,
  all: readonly Standing[],
  refused: readonly Refusal[] = [],
): readonly Judgement[] {
  const { fleet } = world;
  const converged = judgeConverged(world, all);
  const ready = judgeReady(world, all, refused);
  return [ready, judgeProgressing(fleet, ready, converged), converged, ...progress(ready)];
}

function judgeProgressing(fleet: ValidatorFleet, ready: Judgement, converged: Judgement): Judgement {
  const behind = [ready, converged].find(({ status }) => status !== 'True');
  if (behind === undefined) return no('Progressing', REASONS.Reconciled, 'Nothing is left to do.');
  const isStuck = progress(behind).some(({ type, status }) => type === 'Stalled' && status === 'True');
  if (fleet.metadata.deletionTimestamp !== undefined || isStuck)
    return no('Progressing', behind.reason, behind.message);
  return yes('Progressing', REASONS.InProgress, converged.status === 'True' ? ready.message : converged.message);
}

function judgeReady(world: FleetWorld, all: readonly Standing[], [refusal]: readonly Refusal[]): Judgement {
  const { fleet, taken } = world;
  const { replicas, ordinals } = fleet.spec;
  if (fleet.metadata.deletionTimestamp !== undefined)
    return no('Ready', REASONS.Deleting, 'The fleet is being deleted.');
  const clash = Array.from({ length: replicas }, (_, index) =>
    nodeName(fleet.metadata.name, ordinals.start + index),
  ).find((name) => taken.has(name));
  if (clash !== undefined) {
    return no(
      'Ready',
      REASONS.NameTaken,
      `ValidatorNode ${clash} exists and is not this fleet's. Delete it, or set ordinals.start in a new fleet.`,
    );
  }
  if (refusal !== undefined) return no('Ready', refusal.reason, refusal.message);
  if (all.length < replicas) return no('Ready', REASONS.InProgress, `${all.length} of ${replicas} validators exist.`);
  const leaving = surplus(world);
  const down = all.filter(({ node }) => !isTrue(node, NODE_CONDITIONS.Ready));
  const [first] = down;
  if (first !== undefined) {
    const why = findCondition(first.node, NODE_CONDITIONS.Ready);
    // The reason of one is the reason of the fleet, since that is where a person has to look.
    const reason = down
      .map(({ node }) => findCondition(node, NODE_CONDITIONS.Ready))
      .map((condition) => Object.values(REASONS).find((one) => one === condition?.reason))
      .find((one) => one !== undefined && one !== REASONS.Pending && one !== REASONS.InProgress);
    return no(
      'Ready',
      reason ?? REASONS.ValidatorsNotReady,
      `${down.length} of ${replicas} validators are not ready. ${first.node.metadata.name}: ${why?.message ?? 'not judged yet.'}`,
    );
  }
  for (const { node } of leaving) {
    const drained = findCondition(node, NODE_CONDITIONS.Drained);
    const reason = HOMELESS.find((one) => one === drained?.reason);
    if (reason !== undefined) {
      return no('Ready', reason, `${node.metadata.name} cannot leave: ${drained?.message ?? ''}`);
    }
  }
  return yes('Ready', REASONS.Reconciled, `${replicas} of ${replicas} validators are ready.`);
}

function judgeConverged(world: FleetWorld, all: readonly Standing[]): Judgement {
  const { fleet } = world;
  const updated = all.filter(({ current, settled }) => current && settled).length;
  const leaving = surplus(world).length;
  if (updated === fleet.spec.replicas && all.length === updated && leaving === 0) {
    return yes('Converged', REASONS.Reconciled, 'Every validator runs the present template.');
  }
  const parts = [
    ...(updated < fleet.spec.replicas
      ? [`${updated} of ${fleet.spec.replicas} validators run the present template`]
      : []),
    ...(leaving > 0 ? [`${leaving} are leaving`] : []),
  ];
  const paused = all.find(({ node, current, settled }) => node.spec.paused && !(current && settled));
  if (paused !== undefined) {
    return no(
      'Converged',
      REASONS.Paused,
      `${parts.join('; ')}. ${paused.node.metadata.name} is paused: set spec.paused to false in the template, or in it.`,
    );
  }
  return no('Converged', REASONS.InProgress, `${parts.join('; ')}.`);
}
