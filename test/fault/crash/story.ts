import { findCondition } from '../../../src/api/index.ts';
import { type Client, type KubeObject, type ObjectKey, Pod } from '../../../src/kube/index.ts';
import { Model, ModelShard, StakeKeyReservation, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';

/** Where a story is played. */
export interface Place {
  /** A person's: may do everything. */
  readonly client: Pick<Client, 'find' | 'list' | 'apply' | 'patch' | 'scale' | 'delete'>;
  readonly namespace: string;
}

/** One thing that a person does, and what they wait for before they do the next one. */
export interface Step {
  readonly name: string;
  readonly act: (place: Place) => Promise<void>;
  /** What is still missing; undefined once everything is as the person wanted it. */
  readonly missing: (place: Place) => Promise<string | undefined>;
}

const FLEET = 'flock';
const SOLO = 'solo';
const MODEL = 'digits';
const IMAGES = { first: 'murmuration:test', second: 'murmuration:next' } as const;
const API_VERSION = 'murmuration.dev/v1alpha1';

const key = ({ namespace }: Place, name: string): ObjectKey => ({ namespace, name });

const apply = async ({ client, namespace }: Place, kind: typeof ValidatorFleet, object: object): Promise<void> => {
  const { metadata, ...rest } = object as KubeObject;
  const whole = { ...rest, metadata: { ...metadata, namespace } } as unknown as ValidatorFleet;
  await client.apply(kind, whole, { fieldManager: 'person' });
};

/** Says what of the object is not so yet. */
async function conditionMissing(
  place: Place,
  kind: typeof ValidatorNode | typeof ValidatorFleet | typeof Model,
  name: string,
  types: readonly string[],
): Promise<string | undefined> {
  const found = await place.client.find(kind as typeof ValidatorNode, key(place, name));
  if (found === undefined) return `${kind.kind} ${name} is not there`;
  for (const type of types) {
    const condition = findCondition(found, type);
    if (condition?.status === 'True' && condition.observedGeneration === found.metadata.generation) continue;
    const is =
      condition === undefined ? 'not judged' : `${condition.status}, ${condition.reason}: ${condition.message}`;
    return `${type} of ${kind.kind} ${name} is ${is}`;
  }
  return undefined;
}

async function fleetMissing(place: Place, replicas: number): Promise<string | undefined> {
  const found = await place.client.find(ValidatorFleet, key(place, FLEET));
  if (found?.status?.replicas !== replicas) return `the fleet has ${found?.status?.replicas} of ${replicas} validators`;
  return conditionMissing(place, ValidatorFleet, FLEET, ['Ready', 'Converged']);
}

const modelMissing = (place: Place): Promise<string | undefined> =>
  conditionMissing(place, Model, MODEL, ['Ready', 'Learning', 'Replicated']);

const first = async (...all: readonly Promise<string | undefined>[]): Promise<string | undefined> =>
  (await Promise.all(all)).find((one) => one !== undefined);

/** Kinds of which nothing may be left. */
const PASSING = [ValidatorFleet, Model, ModelShard, ValidatorNode, Pod] as const;

/** Everything that people do with a fleet, from its first day to its last. */
export const STORY: readonly Step[] = [
  {
    name: 'create a fleet of 3, and a validator that is to be retained',
    act: async (place) => {
      const spec = { replicas: 3, template: { spec: { image: IMAGES.first } } };
      await apply(place, ValidatorFleet, {
        apiVersion: API_VERSION,
        kind: 'ValidatorFleet',
        metadata: { name: FLEET },
        spec,
      });
      await apply(place, ValidatorNode as never, {
        apiVersion: API_VERSION,
        kind: 'ValidatorNode',
        metadata: { name: SOLO },
        spec: { image: IMAGES.first, storage: { retain: 'Retain' } },
      });
    },
    missing: (place) => first(fleetMissing(place, 3), conditionMissing(place, ValidatorNode, SOLO, ['Ready'])),
  },
  {
    name: 'give it a model',
    act: (place) =>
      apply(place, Model as never, {
        apiVersion: API_VERSION,
        kind: 'Model',
        metadata: { name: MODEL },
        spec: { data: { source: { builtin: 'digits' }, classes: 10 }, shards: { count: 2, replicas: 2 } },
      }),
    missing: (place) => first(fleetMissing(place, 3), modelMissing(place)),
  },
  {
    name: 'upgrade its image',
    act: async (place) => {
      const patch = { spec: { template: { spec: { image: IMAGES.second } } } };
      await place.client.patch(ValidatorFleet, key(place, FLEET), patch);
    },
    missing: async (place) => {
      const missing = await first(fleetMissing(place, 3), modelMissing(place));
      if (missing !== undefined) return missing;
      const { items } = await place.client.list(Pod, { namespace: place.namespace });
      const old = items.find(
        ({ metadata, spec }) => metadata.name !== SOLO && spec?.containers[0]?.image !== IMAGES.second,
      );
      return old === undefined ? undefined : `pod ${old.metadata.name} runs the old image`;
    },
  },
  {
    name: 'scale it to 5',
    act: (place) => place.client.scale(ValidatorFleet, key(place, FLEET), 5),
    missing: (place) => first(fleetMissing(place, 5), modelMissing(place)),
  },
  {
    name: 'scale it to 2',
    act: (place) => place.client.scale(ValidatorFleet, key(place, FLEET), 2),
    missing: (place) => first(fleetMissing(place, 2), modelMissing(place)),
  },
  {
    name: 'cordon one',
    act: async (place) => {
      await place.client.patch(ValidatorNode, key(place, `${FLEET}-1`), { spec: { cordon: true } });
    },
    missing: (place) =>
      first(
        fleetMissing(place, 2),
        modelMissing(place),
        conditionMissing(place, ValidatorNode, `${FLEET}-1`, ['Drained', 'Ready']),
      ),
  },
  {
    name: 'delete everything',
    act: async (place) => {
      await place.client.delete(ValidatorFleet, key(place, FLEET));
      await place.client.delete(Model, key(place, MODEL));
      await place.client.delete(ValidatorNode, key(place, SOLO));
    },
    missing: async ({ client, namespace }) => {
      for (const kind of PASSING) {
        const [left] = (await client.list<KubeObject>(kind, { namespace })).items;
        if (left !== undefined) return `${kind.kind} ${left.metadata.name} is still there`;
      }
      const { items } = await client.list(StakeKeyReservation);
      const held = items.find(({ spec }) => spec.nodeRef.namespace === namespace);
      return held === undefined ? undefined : `the stake key of ${held.spec.nodeRef.name} is still reserved`;
    },
  },
];
