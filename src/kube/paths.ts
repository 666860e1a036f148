import { type AnyKind, kindText } from './kinds.ts';
import type { ObjectKey, Selector } from './objects.ts';

/** `/apis/apps/v1/namespaces/x/deployments`, or without namespace for all of them. */
export function collectionPath(kind: AnyKind, namespace: string | undefined): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope =
    kind.namespaced && namespace !== undefined && namespace !== ''
      ? `/namespaces/${encodeURIComponent(namespace)}`
      : '';
  return `${root}${scope}/${kind.plural}`;
}

/** The path of one object, or of a subresource of it. */
export function objectPath(kind: AnyKind, key: ObjectKey, subresource?: string): string {
  if (kind.namespaced && key.namespace === '') {
    throw new TypeError(`${kindText(kind)} "${key.name}" needs a namespace: the kind is namespaced`);
  }
  if (key.name === '') throw new TypeError(`${kindText(kind)} needs a name`);
  return `${collectionPath(kind, key.namespace)}/${encodeURIComponent(key.name)}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** A query string with its `?`, without what is undefined. */
export function query(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const set = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) set.set(name, String(value));
  const text = set.toString();
  return text === '' ? '' : `?${text}`;
}

/** A selector as `labelSelector` and `fieldSelector`. */
export function selectorQuery(selector: Selector | undefined): Record<string, string | undefined> {
  const terms = (of: Readonly<Record<string, string>> | undefined) => {
    const text = Object.entries(of ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
    return text === '' ? undefined : text;
  };
  return { labelSelector: terms(selector?.labels), fieldSelector: terms(selector?.fields) };
}
