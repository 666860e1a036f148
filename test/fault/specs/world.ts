import { API_VERSION, KINDS, type KindName } from '../../../src/api/index.ts';
import { cidOf } from '../../../src/chunks/index.ts';
import type { Answer, TestApi } from '../../apiserver/harness.ts';
import { type Stage, setStage } from '../../apiserver/operator/stage.ts';
import { type Any, FakeCluster, reservationOf } from './cluster.ts';
import { FLEET, HERE, homeSpec, MODEL, PINNED, SOLO } from './home.ts';
import { OperatorLog } from './log.ts';
import type { Spec } from './mutation.ts';
import { childProblems, judgementProblems } from './oracle.ts';
import { Snapshot } from './snapshot.ts';

/** Nothing may be written for so long before the system counts as at rest. ms */
const REST_MS = 3_000;
const LOOK_MS = 400;
/** The operator looks again every 10 s at what only a person can mend; a verdict may be so late. ms */
const LATE_MS = 14_000;
/** A system that is not at rest after this long never will be. ms */
const LIMIT_MS = 45_000;
const CHUNKS = 8;
const CHUNK_BYTES = 131_072;

/** How a person writes: `kubectl apply --server-side`, `kubectl replace`, or `kubectl edit` of what the operator made. */
export type Hand = 'apply' | 'replace' | 'edit';

/** One object that a person writes. */
export interface Target {
  readonly kind: KindName;
  readonly name: string;
  readonly hand: Hand;
}

/** A small world: an operator on a real API server, a kubelet that decides by image name, and a person who writes specs. */
export class World {
  readonly stage: Stage;
  readonly log: OperatorLog;
  readonly #cluster: FakeCluster;
  readonly #api: TestApi;
  /** Names of ValidatorNodes that were ever to leave their volume behind. */
  readonly retained = new Set<string>();
  /** What people wrote last, by name. */
  readonly #written = new Map<string, Spec>();
  #hasStopped = false;

  private constructor(stage: Stage, cluster: FakeCluster, log: OperatorLog) {
    this.stage = stage;
    this.log = log;
    this.#api = stage.api;
    this.#cluster = cluster;
  }

  /** Makes the world and applies what it begins with. @throws Error where it does not come to rest */
  static async begin(api: TestApi): Promise<World> {
    const log = new OperatorLog();
    const stage = await setStage({ log: log.logger }, api);
    const cluster = await new FakeCluster(api, stage.namespace).start();
    const { kubelet, overlays } = stage;
    kubelet.fate = (pod) => {
      if (cluster.isHomeless(pod)) return 'waits';
      const images = pod.spec?.containers.map(({ image = '' }) => image) ?? [];
      return images.some((image) => image.includes('no-such') || image.includes('::')) ? 'cannot-pull' : 'runs';
    };
    const begun = Date.now();
    kubelet.onRunning = ({ metadata }) => {
      for (const overlay of overlays.all()) {
        const models = (overlay.charter?.models ?? [])
          .slice(0, 16)
          .map(({ uid }) => ({ uid, cid: cidOf(Buffer.from(uid)).toString() }));
        overlay.report(metadata.name, {
          models: models.map(({ uid, cid }) => ({
            uid,
            age: 500,
            loss: 0.1,
            accuracy: 0.9,
            divergence: 0,
            certified: { cid, age: 500, bytes: CHUNKS * CHUNK_BYTES, chunks: CHUNKS, voters: 3, at: begun },
          })),
          held: models.map(({ uid, cid }) => ({ model: uid, cid, chunks: CHUNKS, bitmap: Uint8Array.of(0xff) })),
        });
      }
    };
    const world = new World(stage, cluster, log);
    void stage.operator.stopped.then(() => {
      world.#hasStopped = true;
    });
    for (const target of world.people) await world.#must(target, homeSpec(target.kind));
    return world;
  }

  /** What people wrote to begin with. */
  readonly people: readonly Target[] = [
    { kind: 'ValidatorFleet', name: FLEET, hand: 'apply' },
    { kind: 'ValidatorNode', name: SOLO, hand: 'replace' },
    { kind: 'Model', name: MODEL, hand: 'apply' },
    { kind: 'ModelShard', name: PINNED, hand: 'replace' },
  ];

  /** What the operator made, which a person may edit. */
  readonly children: readonly Target[] = [
    { kind: 'ValidatorNode', name: `${FLEET}-0`, hand: 'edit' },
    { kind: 'ModelShard', name: `${MODEL}-0`, hand: 'edit' },
  ];

  path({ kind, name }: Pick<Target, 'kind' | 'name'>): string {
    const { plural, namespaced } = KINDS[kind];
    return `/apis/${API_VERSION}${namespaced ? `/namespaces/${this.stage.namespace}` : ''}/${plural}/${name}`;
  }

  /** The spec that a person would change: the one that was last written, or the stored one of what the operator made. */
  async present(target: Target): Promise<Spec | undefined> {
    if (target.hand !== 'edit') return this.#written.get(target.name);
    const { code, body } = await this.#api.call('GET', this.path(target));
    return code === 200 ? body.spec : undefined;
  }

  /** Writes the spec as this person does. */
  async write(target: Target, spec: Spec): Promise<Answer> {
    const { kind, name } = target;
    const path = this.path(target);
    const object = { apiVersion: API_VERSION, kind, metadata: { name }, spec: this.#placed(spec) };
    const answer = await this.#send(target, path, object);
    if (answer.code < 300) this.#written.set(name, spec);
    const retain = (spec as Any).storage?.retain ?? (spec as Any).template?.spec?.storage?.retain;
    if (answer.code < 300 && retain === 'Retain') for (const node of this.#nodesOf(target)) this.retained.add(node);
    return answer;
  }

  /** A reservation of here names the namespace, which nobody knows beforehand. */
  #placed(spec: Spec): Spec {
    const { nodeRef } = spec as Any;
    return nodeRef?.namespace === HERE ? { ...spec, nodeRef: { ...nodeRef, namespace: this.stage.namespace } } : spec;
  }

  async #send({ hand }: Target, path: string, object: Any): Promise<Answer> {
    if (hand === 'apply') {
      const query = '?fieldManager=person&force=true&fieldValidation=Strict';
      return this.#api.call('PATCH', `${path}${query}`, object, 'application/apply-patch+yaml');
    }
    // Somebody else may write in between, as with kubectl.
    for (let attempt = 0; ; attempt++) {
      const { code, body } = await this.#api.call('GET', path);
      if (code === 404) {
        const { name } = object.metadata;
        return this.#api.call(
          'POST',
          `${path.slice(0, -name.length - 1)}?fieldManager=person&fieldValidation=Strict`,
          object,
        );
      }
      const next = { ...body, spec: object.spec };
      const answer = await this.#api.call('PUT', `${path}?fieldManager=person&fieldValidation=Strict`, next);
      if (answer.code !== 409 || attempt === 20) return answer;
    }
  }

  #nodesOf({ kind, name }: Target): readonly string[] {
    if (kind === 'ValidatorNode') return [name];
    return kind === 'ValidatorFleet' ? Array.from({ length: 20 }, (_, index) => `${name}-${index}`) : [];
  }

  async #must(target: Target, spec: Spec): Promise<void> {
    const { code, body } = await this.write(target, spec);
    if (code >= 300) throw new Error(`${target.kind} ${target.name}: ${code} ${body?.message}`);
  }

  async remove(target: Target): Promise<void> {
    await this.#api.call('DELETE', this.path(target));
  }

  /** A pod goes, as when its machine is drained. */
  async evict(pod: string): Promise<void> {
    await this.#api.call('DELETE', `/api/v1/namespaces/${this.stage.namespace}/pods/${pod}`);
  }

  snapshot(): Promise<Snapshot> {
    return Snapshot.take(this.#api, this.stage.namespace);
  }

  /**
   * Waits until nothing is written any more, nothing is tried in vain, and every object is judged and has its children.
   * Answers what is wrong where that does not come.
   */
  async untilAtRest(): Promise<{ readonly snapshot: Snapshot; readonly problems: readonly string[] }> {
    const deadline = Date.now() + LIMIT_MS;
    let snapshot = await this.snapshot();
    let since = Date.now();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const next = await this.snapshot();
      const changed = changes(snapshot.versions(), next.versions());
      snapshot = next;
      if (changed.length > 0) since = Date.now();
      const failing = this.log.pending();
      const broken = [...this.log.broken, ...(this.#hasStopped ? ['the operator has stopped'] : [])];
      if (broken.length > 0) return { snapshot, problems: broken };
      if (Date.now() - since >= REST_MS && failing.length === 0) {
        const problems = [...judgementProblems(snapshot), ...childProblems(snapshot, this.retained)];
        if (problems.length === 0 || Date.now() - since >= LATE_MS) {
          this.log.forget();
          return { snapshot, problems };
        }
      }
      if (Date.now() > deadline) {
        const moving = changed.map((name) => `${name} is still written after ${LIMIT_MS / 1000} s`);
        const never = failing.length === 0 && moving.length === 0 ? [`no rest after ${LIMIT_MS / 1000} s`] : [];
        return { snapshot, problems: [...failing, ...moving, ...never] };
      }
    }
  }

  async end(): Promise<void> {
    await this.#cluster.stop();
    await this.stage.end();
  }
}

/** Name under which a target may be made: a reservation's is the digest of its key. */
export const nameFor = (kind: KindName, name: string, spec: Spec): string =>
  kind === 'StakeKeyReservation' ? reservationOf(spec.publicKey) : name;

function changes(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name));
}
