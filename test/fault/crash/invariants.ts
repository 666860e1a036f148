import { createHash } from 'node:crypto';
import { LABELS } from '../../../src/api/index.ts';
import {
  type ConfigMap,
  controllerOf,
  type Existing,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  type Secret,
} from '../../../src/kube/index.ts';
import type { StakeKeyReservation, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { CHARTER_SEQ } from '../../../src/operator/network/record.ts';
import type { Change } from './history.ts';

/**
 * What may never happen on the way, whatever the end is. Goes through the changes of one namespace in their order and
 * says each breach in a sentence.
 */
export function breaches(changes: readonly Change[]): readonly string[] {
  const witness = new Witness();
  for (const change of changes) witness.see(change);
  return witness.said;
}

/** A validator as it was seen last, and the keys that it was ever given. */
interface Seen {
  node: ValidatorNode;
  /** Digest of the key by the name of its Secret. */
  readonly keys: Map<string, string>;
  wasReady: boolean;
}

class Witness {
  readonly said: string[] = [];
  /** Living validators by name. */
  readonly #nodes = new Map<string, Seen>();
  readonly #fleets = new Map<string, ValidatorFleet>();
  /** Living pods by uid. */
  readonly #pods = new Map<string, Existing<Pod>>();
  readonly #reservations = new Map<string, StakeKeyReservation>();
  readonly #secrets = new Map<string, string>();
  readonly #charters = new Map<string, { readonly seq: number; readonly bytes: string }>();

  see({ is, object }: Change): void {
    const gone = is === 'removed';
    switch (object.kind) {
      case 'ValidatorFleet':
        if (gone) this.#fleets.delete(object.metadata.name);
        else this.#fleets.set(object.metadata.name, object as unknown as ValidatorFleet);
        break;
      case 'ValidatorNode':
        this.#seeNode(object as unknown as ValidatorNode, gone);
        break;
      case 'Secret':
        this.#seeSecret(object as Existing<Secret>, gone);
        break;
      case 'StakeKeyReservation':
        this.#seeReservation(object as unknown as StakeKeyReservation, gone);
        break;
      case 'Pod':
        this.#seePod(object as Existing<Pod>, is);
        break;
      case 'PersistentVolumeClaim':
        this.#seeVolume(object as Existing<PersistentVolumeClaim>, gone);
        break;
      case 'ConfigMap':
        this.#seeCharter(object as Existing<ConfigMap>, gone);
        break;
    }
  }

  #seeNode(node: ValidatorNode, gone: boolean): void {
    const { name } = node.metadata;
    const before = this.#nodes.get(name);
    if (gone) {
      this.#nodes.delete(name);
      if (this.#podsOf(node).length > 0) this.said.push(`${name} is gone, and its pod is still there`);
    } else if (before === undefined || before.node.metadata.uid !== node.metadata.uid) {
      this.#nodes.set(name, { node, keys: new Map(), wasReady: false });
    } else {
      before.node = node;
    }
  }

  #seeSecret(secret: Existing<Secret>, gone: boolean): void {
    const { name, labels } = secret.metadata;
    const digest = createHash('sha256')
      .update(JSON.stringify(secret.data ?? {}))
      .digest('hex');
    const before = this.#secrets.get(name);
    if (before !== undefined && before !== digest) this.said.push(`the bytes of Secret ${name} were changed`);
    if (gone) this.#secrets.delete(name);
    else this.#secrets.set(name, digest);
    const seen = this.#nodes.get(labels?.[LABELS.node] ?? '');
    if (seen === undefined) return;
    if (gone) {
      this.#mayLose(seen, `key ${name}`);
      return;
    }
    const first = seen.keys.get(name) ?? digest;
    if (first !== digest) this.said.push(`${seen.node.metadata.name} was given a second key in Secret ${name}`);
    seen.keys.set(name, first);
  }

  #seeVolume(volume: Existing<PersistentVolumeClaim>, gone: boolean): void {
    const { name, labels, deletionTimestamp } = volume.metadata;
    const seen = this.#nodes.get(labels?.[LABELS.node] ?? '');
    if (seen !== undefined && (gone || deletionTimestamp !== undefined)) this.#mayLose(seen, `volume ${name}`);
  }

  /** What a validator needs goes after its pod, on its own deletion, and only where it is not to be retained. */
  #mayLose({ node }: Seen, what: string): void {
    const { name, deletionTimestamp } = node.metadata;
    if (deletionTimestamp === undefined) this.said.push(`${what} of ${name} was deleted while ${name} lives`);
    if (node.spec.storage.retain === 'Retain') this.said.push(`${what} of ${name} was deleted, and is to be retained`);
    if (this.#podsOf(node).length > 0) this.said.push(`${what} of ${name} was deleted before its pod was gone`);
  }

  #seeReservation(reservation: StakeKeyReservation, gone: boolean): void {
    const { name } = reservation.metadata;
    const { nodeRef } = reservation.spec;
    if (!gone) {
      const other = [...this.#reservations].find(([id, { spec }]) => id !== name && spec.nodeRef.uid === nodeRef.uid);
      if (other !== undefined) this.said.push(`${nodeRef.name} holds two stake keys`);
      this.#reservations.set(name, reservation);
      return;
    }
    this.#reservations.delete(name);
    const pod = [...this.#pods.values()].find((one) => controllerOf(one)?.uid === nodeRef.uid);
    if (pod !== undefined) this.said.push(`the stake key of ${nodeRef.name} was released while its pod was there`);
  }

  #seePod(pod: Existing<Pod>, is: Change['is']): void {
    const { uid, name, labels, deletionTimestamp } = pod.metadata;
    const owner = controllerOf(pod)?.uid;
    const node = labels?.[LABELS.node] ?? '';
    if (is === 'added') {
      const double = [...this.#pods.values()].some(({ metadata }) => metadata.labels?.[LABELS.node] === node);
      if (double) this.said.push(`${node} has two pods`);
      const reserved = [...this.#reservations.values()].filter(({ spec }) => spec.nodeRef.uid === owner);
      if (reserved.length === 0) this.said.push(`pod ${name} was made before its stake key was reserved`);
      const { status } = this.#nodes.get(node)?.node ?? {};
      if (status?.peerId === undefined || status.stake?.publicKey === undefined) {
        this.said.push(`pod ${name} was made before its keys were recorded`);
      }
    }
    if (is === 'removed') this.#pods.delete(uid);
    else this.#pods.set(uid, pod);
    const seen = this.#nodes.get(node);
    if (seen === undefined) return;
    if (isReady(pod)) seen.wasReady = true;
    if (is === 'removed' || deletionTimestamp !== undefined) this.#mayBeDown(seen);
  }

  /** Of validators that stay and were up, no more are down at once than the fleet allows. */
  #mayBeDown({ node }: Seen): void {
    const name = node.metadata.labels?.[LABELS.fleet];
    const fleet = name === undefined ? undefined : this.#fleets.get(name);
    if (fleet === undefined || fleet.metadata.deletionTimestamp !== undefined) return;
    const down = [...this.#nodes.values()].filter(
      ({ node: one, wasReady }) =>
        wasReady &&
        one.metadata.labels?.[LABELS.fleet] === name &&
        one.metadata.deletionTimestamp === undefined &&
        !this.#podsOf(one).some((pod) => isReady(pod)),
    );
    if (down.length <= Number(fleet.spec.updateStrategy.maxUnavailable)) return;
    this.said.push(`${down.map((one) => one.node.metadata.name).join(' and ')} are down at once`);
  }

  #seeCharter(record: Existing<ConfigMap>, gone: boolean): void {
    const text = record.metadata.annotations?.[CHARTER_SEQ];
    if (text === undefined) return;
    const { name } = record.metadata;
    const before = this.#charters.get(name);
    if (gone) {
      this.#charters.delete(name);
      if (this.#nodes.size > 0) this.said.push(`charter ${name} was deleted while its network has validators`);
      return;
    }
    const now = { seq: Number(text), bytes: JSON.stringify(record.binaryData ?? {}) };
    if (before !== undefined && now.seq < before.seq)
      this.said.push(`charter ${name} went from ${before.seq} to ${text}`);
    if (now.seq === before?.seq && now.bytes !== before.bytes)
      this.said.push(`two charters ${name} have number ${text}`);
    this.#charters.set(name, now);
  }

  #podsOf({ metadata }: KubeObject): readonly Existing<Pod>[] {
    return [...this.#pods.values()].filter((pod) => controllerOf(pod)?.uid === metadata.uid);
  }
}

const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false);
