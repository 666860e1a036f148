import { parseQuantity, REASONS, ValidatorFleetSpec } from '../../../src/api/index.ts';
import { sameQuantity } from '../../../src/kube/index.ts';
import type { Any } from './cluster.ts';
import type { Snapshot } from './snapshot.ts';

const REASON_WORDS: ReadonlySet<string> = new Set(Object.values(REASONS));
/** Reasons for "not yet": at rest nothing of the kind can be true. */
const PASSING: ReadonlySet<string> = new Set([REASONS.Pending, REASONS.InProgress]);
/** A sentence that helps has something to do in it. */
const TO_DO =
  /\b(add|allow|annotate|apply|bring|clear|correct|create|delete|enlarge|end|exchange|fix|free|give|install|keep|look|lower|make|name|raise|reduce|remove|rename|repair|replace|restore|scale|see|set|shorten|take|use|write)\b/i;
const OUR_KINDS = ['validatorfleets', 'validatornodes', 'models', 'modelshards', 'stakekeyreservations'] as const;

/** What is wrong with the judgements of a system at rest: every object is judged as it is now, and what is not fine is explained. */
export function judgementProblems(snapshot: Snapshot): readonly string[] {
  return OUR_KINDS.flatMap((plural) =>
    snapshot.of(plural).flatMap((object) => {
      const say = (problem: string): string => `${plural}/${object.metadata.name} ${problem}`;
      const { metadata, status } = object;
      if (metadata.deletionTimestamp !== undefined) {
        return [say(`is being deleted for ever: ${readyOf(object)?.message ?? 'no condition'}`)];
      }
      const ready = readyOf(object);
      if (ready === undefined) return [say('has no Ready condition')];
      const stale = [status, ...status.conditions].find(
        ({ observedGeneration }: Any) => observedGeneration !== metadata.generation,
      );
      if (stale !== undefined) {
        return [
          say(
            `was judged at generation ${stale.observedGeneration} (${stale.type ?? 'status'}), is ${metadata.generation}`,
          ),
        ];
      }
      // Repair waits for two minutes of silence before it gives a holder's part to another.
      if (plural === 'modelshards' && ready.reason === REASONS.InProgress && hasHolderDown(snapshot, object)) return [];
      return [...readyProblems(ready), ...movingProblems(object, ready)].map(say);
    }),
  );
}

const hasHolderDown = (snapshot: Snapshot, { status }: Any): boolean =>
  status.holders.some(({ node }: Any) => !isReady(snapshot.get('validatornodes', node) ?? {}));

const readyOf = ({ status }: Any): Any => status?.conditions?.find(({ type }: Any) => type === 'Ready');

function readyProblems({ status, reason, message }: Any): readonly string[] {
  if (!REASON_WORDS.has(reason)) return [`has reason ${reason}, which is none of the API's`];
  if (status === 'True') return [];
  if (PASSING.has(reason)) return [`is at rest and says that it is not: Ready=${status} ${reason}: ${message}`];
  return TO_DO.test(message) ? [] : [`does not say what to do: Ready=${status} ${reason}: ${message}`];
}

/** A fleet says that it has arrived, or why it has stopped. */
function movingProblems({ kind, status }: Any, ready: Any): readonly string[] {
  if (kind !== 'ValidatorFleet' || ready.status !== 'True') return [];
  const converged = status.conditions.find(({ type }: Any) => type === 'Converged');
  // Paused is a person's wish, and says so.
  return converged?.status === 'True' || converged?.reason === REASONS.Paused
    ? []
    : [`is Ready and at rest, but Converged=${converged?.status} ${converged?.reason}: ${converged?.message}`];
}

/** What of the children is leaked, doubled, missing or not as the spec says. @param retained names of ValidatorNodes whose volume was to stay */
export function childProblems(snapshot: Snapshot, retained: ReadonlySet<string>): readonly string[] {
  return [
    ...snapshot.of('validatorfleets').flatMap((fleet) => fleetProblems(snapshot, fleet)),
    ...snapshot.of('validatornodes').flatMap((node) => nodeProblems(snapshot, node)),
    ...snapshot.of('models').flatMap((model) => modelProblems(snapshot, model)),
    ...leaks(snapshot, retained),
  ];
}

const isReady = (object: Any): boolean => readyOf(object)?.status === 'True';
const isOwnedBy = ({ metadata }: Any, owner: Any): boolean =>
  metadata.ownerReferences?.some(({ uid }: Any) => uid === owner.metadata.uid) ?? false;

function fleetProblems(snapshot: Snapshot, fleet: Any): readonly string[] {
  if (!isReady(fleet)) return [];
  const { replicas, ordinals, template } = ValidatorFleetSpec.parse(fleet.spec);
  const wanted = Array.from({ length: replicas }, (_, index) => `${fleet.metadata.name}-${ordinals.start + index}`);
  const members = snapshot.of('validatornodes').filter((node) => isOwnedBy(node, fleet));
  const names = members.map(({ metadata }) => metadata.name);
  const { cordon: _, paused: __, ...spec } = template.spec;
  return [
    ...(names.toSorted().join() === wanted.toSorted().join()
      ? []
      : [`fleet ${fleet.metadata.name} has ${names.join(', ')} and should have ${wanted.join(', ')}`]),
    ...members.flatMap((node) => {
      const { cordon: ___, paused: ____, ...own } = node.spec;
      return sorted(own) === sorted(spec)
        ? []
        : [`${node.metadata.name} is not as its fleet's template says: ${sorted(own)} instead of ${sorted(spec)}`];
    }),
  ];
}

function nodeProblems(snapshot: Snapshot, node: Any): readonly string[] {
  const { name, uid } = node.metadata;
  const { spec } = node;
  if (!isReady(node) || spec.paused) return [];
  const problems: string[] = [];
  const pod = snapshot.get('pods', name);
  if (pod === undefined || !isOwnedBy(pod, node)) problems.push('has no pod of its own');
  else {
    const validator = pod.spec.containers.find((one: Any) => one.name === 'validator');
    const override = spec.podTemplate?.spec?.containers !== undefined;
    if (!override && spec.image !== undefined && validator?.image !== spec.image)
      problems.push(`runs ${validator?.image}, not ${spec.image}`);
    for (const [label, value] of Object.entries(spec.podTemplate?.metadata?.labels ?? {})) {
      if (label.startsWith('murmuration.dev/') || label.startsWith('app.kubernetes.io/')) continue;
      if (pod.metadata.labels[label] !== value) problems.push(`has a pod without label ${label}=${value}`);
    }
    const stake = spec.stake.keySecretRef?.name ?? `${name}-stake`;
    const mounted = pod.spec.volumes.find((one: Any) => one.name === 'stake')?.secret?.secretName;
    if (spec.podTemplate?.spec?.volumes === undefined && mounted !== stake)
      problems.push(`signs with ${mounted}, not ${stake}`);
  }
  if (snapshot.get('services', name) === undefined) problems.push('has no Service');
  const volume = snapshot.get('persistentvolumeclaims', `${name}-data`);
  const size = volume?.spec.resources.requests.storage;
  if (volume === undefined) problems.push('has no volume');
  else if (!sameQuantity(size, spec.storage.size) && parseQuantity(size) !== parseQuantity(spec.storage.size)) {
    problems.push(`has a volume of ${size}, not of ${spec.storage.size}`);
  }
  for (const [which, ref] of [
    ['identity', spec.identity.secretRef],
    ['stake', spec.stake.keySecretRef],
  ] as const) {
    if (snapshot.get('secrets', ref?.name ?? `${name}-${which}`) === undefined) problems.push(`has no ${which} key`);
  }
  const held = snapshot.of('stakekeyreservations').filter((one) => one.spec.nodeRef.uid === uid);
  if (held.length !== 1)
    problems.push(`holds ${held.length} reservations: ${held.map((one) => one.spec.publicKey.slice(0, 8)).join(', ')}`);
  return problems.map((problem) => `${name} is Ready and ${problem}`);
}

function modelProblems(snapshot: Snapshot, model: Any): readonly string[] {
  const { name } = model.metadata;
  const { count, replicas } = model.spec.shards;
  const mine = snapshot.of('modelshards').filter((shard) => isOwnedBy(shard, model));
  const is = mine.map(({ spec }) => `${spec.index}/${spec.of}x${spec.replicas}`).toSorted();
  const should = Array.from({ length: count }, (_, index) => `${index}/${count}x${replicas}`).toSorted();
  // A name that is taken is the model's condition to tell.
  if (is.join() === should.join() || !isReady(model)) return [];
  return [`model ${name} has shards ${is.join(' ')} and should have ${should.join(' ')}`];
}

function leaks(snapshot: Snapshot, retained: ReadonlySet<string>): readonly string[] {
  const nodes = new Set(snapshot.of('validatornodes').map(({ metadata }) => metadata.name));
  const uids = new Set(snapshot.of('validatornodes').map(({ metadata }) => metadata.uid));
  const orphans = (['pods', 'services', 'secrets', 'persistentvolumeclaims'] as const).flatMap((plural) =>
    snapshot
      .of(plural)
      .map(({ metadata }) => ({ name: metadata.name, node: metadata.labels?.['murmuration.dev/node'] }))
      .filter(({ node }) => node !== undefined && !nodes.has(node))
      .filter(({ node }) => !(retained.has(node) && (plural === 'secrets' || plural === 'persistentvolumeclaims')))
      .map(({ name, node }) => `${plural}/${name} is left of ${node}, which is gone`),
  );
  const locks = snapshot
    .of('stakekeyreservations')
    .filter(({ spec }) => !uids.has(spec.nodeRef.uid))
    .map(({ spec }) => `a reservation is left of ${spec.nodeRef.name}, which is gone`);
  return [...orphans, ...locks];
}

/** JSON with sorted keys, so that equal specs read alike. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
