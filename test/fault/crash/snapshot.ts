import { AUTHORITY_RECORD, CHARTER_FILE, RECORD_FIELDS } from '../../../src/api/index.ts';
import { type Client, ConfigMap, type Existing, type KubeObject, Secret } from '../../../src/kube/index.ts';
import { canonical } from '../../../src/operator/digest.ts';
import { StakeKeyReservation } from '../../../src/operator/kinds.ts';
import { type Charter, decodeSignedCharter, openCharter } from '../../../src/overlay/index.ts';
import { NAMESPACED } from '../kinds.ts';

/** Everything that the operator makes or writes, by kind and name, without what differs from one life to the next. */
export type Snapshot = ReadonlyMap<string, unknown>;

/** Reads all that is in the namespace and in the operator's own. */
export async function snapshotOf(client: Client, namespace: string, system: string): Promise<Snapshot> {
  const [reservations, record, secrets, ...lists] = await Promise.all([
    client.list(StakeKeyReservation),
    client.find(ConfigMap, { namespace: system, name: AUTHORITY_RECORD }),
    client.list(Secret, { namespace: system }),
    ...NAMESPACED.map((kind) => client.list<KubeObject>(kind, { namespace })),
  ]);
  const held = reservations.items.filter(({ spec }) => spec.nodeRef.namespace === namespace);
  const objects = lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt');
  const charters = new Map<string, unknown>();
  for (const object of objects) {
    const said = object.kind === 'ConfigMap' ? await charterIn(object as ConfigMap, namespace, record) : undefined;
    if (said !== undefined) charters.set(object.metadata.name, said);
  }
  const snapshot = new Map(snapshotFrom([...objects, ...held], namespace, system, charters));
  for (const { metadata, data } of secrets.items) snapshot.set(`own Secret ${metadata.name}`, Object.keys(data ?? {}));
  snapshot.set('own record', Object.keys(record?.data ?? {}));
  return snapshot;
}

/** @param charters what the charters among the objects say, by name */
export function snapshotFrom(
  objects: readonly Existing<KubeObject>[],
  namespace: string,
  system: string,
  charters: ReadonlyMap<string, unknown> = new Map(),
): Snapshot {
  const blur = blurred(namespace, system);
  return new Map(
    objects.map((object) => {
      const said = object.kind === 'ConfigMap' ? charters.get(object.metadata.name) : undefined;
      return [nameOf(object), blur(said ?? normalised(object))];
    }),
  );
}

/** A reservation is called by its holder: its own name comes from the key. */
const nameOf = (object: KubeObject): string =>
  object.kind === 'StakeKeyReservation'
    ? `StakeKeyReservation of ${(object as StakeKeyReservation).spec.nodeRef.name}`
    : `${object.kind} ${object.metadata.name}`;

/** Names of what a charter says: who is in, what is learned, and how many hold each part of it. */
async function charterIn(object: ConfigMap, namespace: string, record: ConfigMap | undefined): Promise<unknown> {
  const file = object.binaryData?.[CHARTER_FILE];
  const authority = record?.data?.[RECORD_FIELDS.authority];
  if (file === undefined || authority === undefined) return undefined;
  const network = `${namespace}/${object.metadata.name.replace(/-charter$/, '')}`;
  const charter: Charter = await openCharter(decodeSignedCharter(Buffer.from(file, 'base64')), { authority, network });
  return {
    members: charter.members.map(({ name, role, weight, addresses }) => ({ name, role, weight, addresses })),
    models: charter.models.map(({ name, spec }) => ({ name, spec })),
    // By name would differ from one namespace to the next, since placement hashes it.
    placements: charter.placements.map(({ index, of, holders }) => ({ index, of, holders: holders.length })),
  };
}

function normalised({ kind, metadata, ...rest }: Existing<KubeObject>): unknown {
  const { labels, annotations = {}, finalizers, ownerReferences = [], deletionTimestamp } = metadata;
  const { spec, status, data } = rest as { spec?: object; status?: object; data?: object };
  return {
    labels,
    annotations: Object.keys(annotations).sort(),
    finalizers,
    owners: ownerReferences.map((owner) => `${owner.kind} ${owner.name}`),
    deleting: deletionTimestamp !== undefined,
    // uids and machines differ from one life to the next.
    spec: kind === 'StakeKeyReservation' ? undefined : kind === 'Pod' ? { ...spec, nodeName: undefined } : spec,
    data: data === undefined ? undefined : Object.keys(data),
    // The statuses of other kinds are others' words.
    status: (rest as { apiVersion: string }).apiVersion.startsWith('murmuration.dev/')
      ? statusOf(status, metadata.generation)
      : undefined,
  };
}

interface AnyStatus {
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly observedGeneration?: number;
  }[];
  readonly observedGeneration?: number;
  readonly holders?: readonly { readonly state: string }[];
}

/** Fields that follow the clock, the machine that a pod came to, or the share that placement gave to a validator. */
const MOVING = [
  ...['updates', 'models', 'chunks', 'nodeName', 'version', 'loss', 'accuracy', 'divergence', 'startedAt', 'target'],
];

function statusOf(status: object | undefined, generation?: number): unknown {
  if (status === undefined) return undefined;
  const { conditions = [], observedGeneration, holders, ...rest } = status as AnyStatus;
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !MOVING.includes(name))),
    isCurrent: generation === undefined || observedGeneration === generation,
    holders: holders?.map(({ state }) => state),
    conditions: Object.fromEntries(
      conditions.map((one) => [
        one.type,
        `${one.status} ${one.reason}${generation === undefined || one.observedGeneration === generation ? '' : ', of an old generation'}`,
      ]),
    ),
  };
}

/** Puts words in the place of names that differ from one life to the next: namespaces, keys, digests. */
const blurred =
  (namespace: string, system: string) =>
  (value: unknown): unknown =>
    JSON.parse(
      canonical(value)
        .replaceAll(namespace, '<namespace>')
        .replaceAll(system, '<system>')
        .replace(/12D3KooW[1-9A-HJ-NP-Za-km-z]{44}/g, '<peer>')
        .replace(/\b0[23][0-9a-f]{64}\b/g, '<stake key>'),
    );

/** In what two snapshots differ, a line each. */
export function differences(expected: Snapshot, found: Snapshot): readonly string[] {
  const names = [...new Set([...expected.keys(), ...found.keys()])].sort();
  return names.flatMap((name) => {
    if (!found.has(name)) return [`${name} is missing`];
    if (!expected.has(name)) return [`${name} is too many`];
    return differing(name, expected.get(name), found.get(name));
  });
}

function differing(where: string, expected: unknown, found: unknown): readonly string[] {
  if (canonical(expected) === canonical(found)) return [];
  if (!isRecord(expected) || !isRecord(found))
    return [`${where}: ${canonical(found)} instead of ${canonical(expected)}`];
  const fields = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
  return fields.flatMap((field) => differing(`${where}.${field}`, expected[field], found[field]));
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
