/**
 * The shapes every Kubernetes object shares, as they are on the wire: raw JSON, times as RFC 3339 strings, nothing
 * dropped and nothing converted.
 */

/** Name of one object within its kind. Cluster-scoped objects have an empty namespace. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean | undefined;
  readonly blockOwnerDeletion?: boolean | undefined;
}

export interface ManagedFieldsEntry {
  readonly manager?: string | undefined;
  readonly operation?: string | undefined;
  readonly apiVersion?: string | undefined;
  readonly time?: string | undefined;
  readonly fieldsType?: string | undefined;
  readonly fieldsV1?: unknown;
  readonly subresource?: string | undefined;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly generation?: number | undefined;
  /** RFC 3339, second precision. */
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly deletionGracePeriodSeconds?: number | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
  /** Never kept in a store. */
  readonly managedFields?: readonly ManagedFieldsEntry[] | undefined;
}

/** What every object has. An interface of ours extends it with `spec`, `status`, `data`... */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** An object that the server has given us: it has an identity and a version. */
export type Existing<T extends KubeObject> = T & {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string; readonly creationTimestamp: string };
};

/** The key of an object. */
export function keyOf(object: KubeObject): ObjectKey {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}

/** `namespace/name`, or `name` for a cluster-scoped object: how a key is logged and put in maps. */
export function keyText(key: ObjectKey): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}

/** The reverse of {@link keyText}. */
export function parseKey(text: string): ObjectKey {
  const slash = text.indexOf('/');
  return slash < 0 ? { namespace: '', name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** A controller owner reference to `owner`: the child is garbage collected with it and its changes wake it up. */
export function ownerReference(owner: KubeObject): OwnerReference {
  const { uid, name } = owner.metadata;
  if (uid === undefined) {
    throw new TypeError(
      `${owner.kind} ${keyText(keyOf(owner))} cannot own anything: it has no uid. Pass the object as read from the server.`,
    );
  }
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The owner reference with `controller: true`; an object has at most one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** Which objects of a kind: equality on labels and on dotted field paths, so that it can be judged here as well. */
export interface Selector {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Only fields which the API server selects by, for example `metadata.name` or `spec.nodeName`. */
  readonly fields?: Readonly<Record<string, string>> | undefined;
}

/** Whether `object` is selected by `selector`, judged as the API server does. */
export function selects(selector: Selector, object: KubeObject): boolean {
  for (const [label, value] of Object.entries(selector.labels ?? {})) {
    if (object.metadata.labels?.[label] !== value) return false;
  }
  for (const [path, value] of Object.entries(selector.fields ?? {})) {
    if (fieldAt(object, path) !== value) return false;
  }
  return true;
}

function fieldAt(object: unknown, path: string): string {
  let at = object;
  for (const step of path.split('.')) {
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined;
  }
  return at === undefined || at === null ? '' : String(at);
}

/**
 * Order of two resourceVersions of one kind: negative when `a` is older. They are decimal numbers of any length
 * (guaranteed since Kubernetes 1.35, KEP-5504; true of every etcd-backed server before).
 */
export function compareVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
