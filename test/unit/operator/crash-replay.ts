import { LABELS } from '../../../src/api/index.ts';
import type { Action } from '../../../src/operator/action.ts';
import type { Change } from '../../fault/crash/history.ts';
import { breaches } from '../../fault/crash/invariants.ts';
import { differences, type Snapshot, snapshotFrom } from '../../fault/crash/snapshot.ts';
import { STORY, type Step } from '../../fault/crash/story.ts';
import { type Cluster, type Loose, NAMESPACE } from './cluster.ts';
import { RecordedCluster, Stale } from './crash-cluster.ts';
import { CrashOperator, Flock, Killed } from './crash-operator.ts';

/** More rounds than any step needs; one that takes more does not converge. */
const MAX_ROUNDS = 200;
const ROUND_MS = 500;

/** By kind of key: changes of these kinds wake every one of them. */
const WOKEN_BY: Readonly<Record<string, readonly string[]>> = {
  ValidatorFleet: ['ValidatorFleet', 'ValidatorNode', 'ModelShard', 'Pod', 'PodDisruptionBudget'],
  ValidatorNode: ['Model', 'ModelShard', 'ConfigMap'],
  Model: ['Model', 'ModelShard', 'ValidatorNode', 'Pod'],
  shards: ['Model', 'ModelShard', 'ValidatorNode', 'Pod'],
  StakeKeyReservation: ['StakeKeyReservation', 'ValidatorNode'],
  network: ['Model', 'ModelShard', 'ValidatorNode', 'Pod', 'ConfigMap'],
};

/** Whether the controller of this key has to look, as far as that saves passes; a step ends with a look at all. */
function wakes({ object }: Change, key: string): boolean {
  const [kind = '', name] = key.split(' ');
  if (WOKEN_BY[kind]?.includes(object.kind)) return true;
  const { nodeRef } = (object as Loose).spec ?? {};
  return (
    kind === 'ValidatorNode' &&
    [object.metadata.name, object.metadata.labels?.[LABELS.node], nodeRef?.name].includes(name)
  );
}

/** The story in memory: a cluster, its validators, and an operator that another one follows when it is killed. */
export class Replay {
  readonly cluster: RecordedCluster;
  readonly flock: Flock;
  operator: CrashOperator;
  readonly after: Snapshot[] = [];
  /** Which actions of a wave are done, in which order, where nothing else is said. */
  habit: (wave: readonly Action[]) => readonly Action[] = (wave) => wave;
  /** By kind: the revision up to which the present operator's caches have come. */
  #caches = new Map<string, number>();
  /** The revision up to which all of them have come. */
  #since = 0;

  /** @param onWrite called when a write of the first operator is done, before it hears of that */
  constructor(cluster: RecordedCluster = new RecordedCluster(), onWrite?: () => void) {
    this.cluster = cluster;
    this.flock = new Flock(cluster);
    this.operator = new CrashOperator(cluster, this.flock, undefined, onWrite);
    this.#since = cluster.revision;
  }

  /** The same story, which goes on with another operator, as if this one had been killed at this moment. */
  fork(): Replay {
    const fork = new Replay(this.cluster.fork());
    fork.flock.volumes = this.flock.volumes.fork();
    fork.after.push(...this.after);
    return fork;
  }

  /** Plays the story to its end, beginning (or going on) with the step that is next. */
  async play(isUnderWay = false): Promise<this> {
    for (const [index, step] of STORY.entries()) {
      if (index < this.after.length) continue;
      if (index > this.after.length || !isUnderWay) await step.act(this.cluster.place);
      await this.settle(step);
      isUnderWay = false;
    }
    return this;
  }

  /** Another process: it knows nothing, and lists everything before it begins. */
  restart(killAfter?: number): void {
    this.operator = new CrashOperator(this.cluster, this.flock, killAfter);
    this.#caches = new Map();
    this.#since = this.cluster.revision;
  }

  /** The cluster as caches show it that are behind by up to so many changes; those of one process never go back. */
  seen(lags: readonly number[]): Cluster {
    if (lags.length === 0) {
      this.#since = this.cluster.revision;
      return this.cluster;
    }
    let at = 0;
    return this.cluster.asOf((kind) => {
      const lag = lags[at++ % Math.max(1, lags.length)] ?? 0;
      const revision = Math.max(this.#since, this.#caches.get(kind) ?? 0, this.cluster.revision - lag);
      this.#caches.set(kind, revision);
      return revision;
    });
  }

  /** One pass of one controller. What the API server refuses is tried again in a later pass, as in the real queue. */
  pass(key: string, lags: readonly number[] = [], part = this.habit): void {
    try {
      this.operator.pass(key, { seen: this.seen(lags), part });
    } catch (error) {
      if (error instanceof Killed) this.restart();
      else if (!(error instanceof Stale)) throw error;
    }
  }

  /** Everybody does what there is to do, until nothing changes any more. */
  async settle({ name, missing }: Step): Promise<void> {
    // A step begins as a process does, with a look at everything; from then on changes wake keys.
    let keys = this.operator.keys(this.cluster);
    let still = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { operator } = this;
      const from = this.cluster.changes.length;
      for (const key of keys) this.pass(key);
      for (const { metadata } of this.cluster.list('Pod')) this.cluster.kubelet(metadata.name);
      this.cluster.collectGarbage();
      this.flock.look();
      this.cluster.now += ROUND_MS;
      const all = this.operator.keys(this.cluster);
      const changes = this.cluster.changes.slice(from);
      const wasWhole = keys.length === all.length;
      keys = all.filter((key) => operator !== this.operator || changes.some((change) => wakes(change, key)));
      if (keys.length > 0) continue;
      keys = all;
      // Twice: what a new process learns in its first look at everything may be what it needed for the second.
      still = changes.length === 0 && wasWhole ? still + 1 : 0;
      if (still < 2) continue;
      const what = await missing(this.cluster.place);
      if (what !== undefined) throw new Error(`nothing happens any more after "${name}", and ${what}`);
      this.after.push(snapshotFrom([...this.cluster.objects.values()], NAMESPACE, 'system'));
      return;
    }
    throw new Error(`it does not come to rest after "${name}"`);
  }

  /** In what the whole replay differs from the other, and what it broke on the way. */
  problems(undisturbed: Replay): readonly string[] {
    const different = STORY.flatMap(({ name }, step) =>
      differences(undisturbed.after[step]!, this.after[step]!).map((one) => `after "${name}": ${one}`),
    );
    return [...different, ...breaches(this.cluster.changes), ...this.flock.volumes.breaches];
  }
}
