import type { Existing, Node, PersistentVolumeClaim, Pod, Service } from '../../kube/index.ts';
import type { ModelShard, StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import type { Heard } from '../network/heard.ts';
import type { Refusal } from '../refusal.ts';
import type { PodSetting } from './children/pod.ts';
import type { KeySecret } from './keys.ts';

/** All that is known of one validator at one moment. Plan and status are functions of this and of nothing else. */
export interface NodeWorld {
  readonly node: Existing<ValidatorNode>;
  /** Unix ms. */
  readonly now: number;
  /** The namespace is being deleted: let go of everything, hold up nothing. */
  readonly namespaceTerminating: boolean;
  readonly identity: KeySecret;
  readonly stake: KeySecret;
  /** Another ValidatorNode of the namespace that had this identity first. */
  readonly twin: string | undefined;
  /** The reservation of the stake key that the Secret (or, with it gone, the status) names. */
  readonly reservation: Existing<StakeKeyReservation> | undefined;
  readonly volume: Existing<PersistentVolumeClaim> | undefined;
  readonly service: Existing<Service> | undefined;
  readonly pod: Existing<Pod> | undefined;
  /** The machine that the pod is on. */
  readonly machine: Existing<Node> | undefined;
  /** Undefined while there is no authority key: no pod is made without it. */
  readonly setting: PodSetting | undefined;
  /** The recorded charter lets its peer id in: no pod is made before that. */
  readonly chartered: boolean;
  /** Shards of the namespace that name this validator as a holder. */
  readonly holding: readonly ModelShard[];
  /** Other validators of the network. */
  readonly others: number;
  /** What the validator says of itself and others of it; undefined where nothing was heard. */
  readonly heard: Heard | undefined;
  /** The operator listens to the network for long enough that silence means something. */
  readonly listening: boolean;
  /** What the API server refused in this pass. */
  readonly refused: readonly Refusal[];
}
