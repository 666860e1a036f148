import type { AnyKind } from './kinds.ts';
import type { Existing, KubeObject, ObjectKey, Selector } from './objects.ts';

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The whole call, retries included. ms; default 30 000 (a page of a list: 60 000). */
  readonly deadlineMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly selector?: Selector | undefined;
  /** Objects a page. Default 500. */
  readonly limit?: number | undefined;
}

export interface Page<T extends KubeObject> {
  readonly items: readonly Existing<T>[];
  /** The state of the whole list, the same on every page. */
  readonly resourceVersion: string;
  /** Token of the next page; empty on the last. */
  readonly continue: string;
}

export interface ApplyOptions extends CallOptions {
  /** Who owns the fields. */
  readonly fieldManager: string;
  /** Take fields over from other managers instead of failing with Conflict. Default true. */
  readonly force?: boolean | undefined;
}

export interface PatchOptions extends CallOptions {
  /** `merge` (RFC 7386, default), `json` (RFC 6902) or `strategic` (built-in kinds only). */
  readonly type?: 'merge' | 'json' | 'strategic' | undefined;
  readonly subresource?: string | undefined;
  readonly fieldManager?: string | undefined;
  /** Optimistic lock (merge only): Conflict when the object is not of this version. */
  readonly resourceVersion?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Conflict when the object has another uid: never delete a namesake. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** Default `Background`. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly selector?: Selector | undefined;
  readonly resourceVersion?: string | undefined;
  readonly sendInitialEvents?: boolean | undefined;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  /** The stream is given up when nothing came for so long (half-open connection). ms */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** A line of a watch. `object` is a Status for ERROR, and has only a resourceVersion for BOOKMARK. */
export interface RawWatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

/** What a write did, told to whoever keeps a picture of the cluster. */
export type Written =
  | { readonly type: 'stored'; readonly kind: AnyKind; readonly object: Existing<KubeObject> }
  | { readonly type: 'removed'; readonly kind: AnyKind; readonly key: ObjectKey; readonly uid: string };
