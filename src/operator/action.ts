import type { AnyKind, KubeObject, ObjectKey } from '../kube/index.ts';

/**
 * What a planner wants done, as data. A plan is a wave: its actions do not need each other and may run at once, in any
 * order, in part or twice. After a wave the world is observed and planned again, until the plan is empty.
 */
export type Action =
  /** Server-side apply of all that we want of the object; nothing is sent where the cache already agrees. */
  | { readonly do: 'apply'; readonly kind: AnyKind; readonly object: KubeObject }
  /** Merge patch: takes away what others have added to an object of ours, which an apply leaves alone. */
  | { readonly do: 'patch'; readonly kind: AnyKind; readonly key: ObjectKey; readonly patch: object }
  /** Create, and accept that it may exist already: the way to take a lock or to make a key once. */
  | { readonly do: 'create'; readonly kind: AnyKind; readonly object: KubeObject }
  /** Delete this very object (by uid), never a namesake. Gone already is fine. */
  | {
      readonly do: 'delete';
      readonly kind: AnyKind;
      readonly key: ObjectKey;
      readonly uid: string;
      /** 0: without waiting for the kubelet; only for a pod that a person has declared gone. */
      readonly graceSeconds?: number;
      /** What is to take its place: where the API server would not have that, this one stays. */
      readonly successor?: KubeObject;
    }
  /** Make a key and keep it in a new Secret. The bytes are made by the executor and are in no plan. */
  | { readonly do: 'makeKey'; readonly which: KeyKind; readonly secret: KubeObject }
  /** Write the status now, before anything that relies on what it records. */
  | { readonly do: 'record' }
  /** Set our finalizer on the object or take it away. */
  | { readonly do: 'finalizer'; readonly kind: AnyKind; readonly object: KubeObject; readonly present: boolean };

/** The keys of a validator. */
export type KeyKind = 'identity' | 'stake';
