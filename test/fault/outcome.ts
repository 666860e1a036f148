import { type Existing, type Kind, type KubeObject, keyOf, keyText, kindText, Secret } from '../../src/kube/index.ts';
import { StakeKeyReservation, ValidatorNode } from '../../src/operator/kinds.ts';
import type { RunningOperator } from '../../src/operator/operator.ts';
import type { Stage } from '../apiserver/operator/stage.ts';
import { NAMESPACED } from './kinds.ts';

type Versions = ReadonlyMap<string, string>;

const versionsOf = (objects: readonly KubeObject[]): Versions =>
  new Map(
    objects.map((one) => [keyText(keyOf(one)), `${one.metadata.uid} in version ${one.metadata.resourceVersion}`]),
  );

/** In what the stores of an operator differ from a fresh list of the server; empty where nothing was missed. */
export async function missed(stage: Stage, operator: RunningOperator): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { kind, selector, store } of operator.caches.all()) {
    const namespace = kind.namespaced ? stage.namespace : undefined;
    const { items } = await stage.client.list(kind as Kind, { namespace, selector });
    const there = versionsOf(items);
    const here = versionsOf(store.list());
    for (const name of new Set([...there.keys(), ...here.keys()])) {
      if (there.get(name) === here.get(name)) continue;
      const says = (version: string | undefined): string => version ?? 'nothing';
      found.push(
        `${kindText(kind)} ${name}: the server has ${says(there.get(name))}, the store ${says(here.get(name))}`,
      );
    }
  }
  return found;
}

/**
 * What there is of the fleet, by name. A child that belongs to somebody who is gone, or a second one for the same
 * validator, is a line of its own, so that two equal inventories mean: nothing leaked, doubled or missing.
 */
export async function inventory(stage: Stage): Promise<readonly string[]> {
  const { client, namespace } = stage;
  const lines: string[] = [];
  const uids = new Set<string>();
  for (const kind of NAMESPACED as readonly Kind[]) {
    const { items } = await client.list(kind, { namespace });
    for (const { metadata } of items) {
      uids.add(metadata.uid);
      const orphaned = metadata.ownerReferences?.some(({ uid }) => !uids.has(uid)) ?? false;
      const leaving = metadata.deletionTimestamp !== undefined;
      lines.push(
        `${kind.kind} ${metadata.name}${orphaned ? ' of an owner that is gone' : ''}${leaving ? ', leaving' : ''}`,
      );
    }
  }
  const { items } = await client.list(StakeKeyReservation);
  for (const { spec } of items) {
    if (spec.nodeRef.namespace !== namespace) continue;
    lines.push(`reservation for ${spec.nodeRef.name}${uids.has(spec.nodeRef.uid) ? '' : ', which is gone'}`);
  }
  return lines.sort();
}

/** The keys of every living validator: uid of the ValidatorNode, and what its Secrets are and hold. */
export async function keysOf(stage: Stage): Promise<ReadonlyMap<string, string>> {
  const { client, namespace } = stage;
  const [nodes, secrets] = await Promise.all([
    client.list(ValidatorNode, { namespace }),
    client.list(Secret, { namespace }),
  ]);
  const secret = (name: string): Existing<Secret> | undefined =>
    secrets.items.find(({ metadata }) => metadata.name === name);
  return new Map(
    nodes.items.flatMap(({ metadata }) => {
      const both = ['identity', 'stake'].map((which) => secret(`${metadata.name}-${which}`));
      if (both.includes(undefined)) return [];
      return [[`${metadata.name} ${metadata.uid}`, JSON.stringify(both.map((one) => [one?.metadata.uid, one?.data]))]];
    }),
  );
}

/** Validators that live on under the same uid with another key than before. */
export const changedKeys = (
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] =>
  [...before].flatMap(([validator, keys]) => {
    const now = after.get(validator);
    return now === undefined || now === keys ? [] : [`the keys of ${validator} changed`];
  });

const Event: Kind<KubeObject & { readonly reason: string; readonly note: string; readonly series?: object }> = {
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

/** Keys that were announced more than once. */
export async function keysMadeTwice(stage: Stage): Promise<readonly string[]> {
  const { items } = await stage.client.list(Event, { namespace: stage.namespace });
  const seen = new Set<string>();
  return items.flatMap((event) => {
    if (event.reason !== 'KeyMade') return [];
    const { uid } = (event as unknown as { readonly regarding: { readonly uid: string } }).regarding;
    const name = `${uid} ${event.note}`;
    const again = seen.has(name) || event.series !== undefined;
    seen.add(name);
    return again ? [`announced twice: ${event.note}`] : [];
  });
}
