/** Applies and deletes the documents of a manifest, and tells which of them changed. */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { type AnyKind, type Client, defineKind, type KubeObject, NotFound } from '../../kube/index.ts';
import { failed, misused, reasonOf } from '../errors.ts';
import type { Io } from '../io.ts';

const fieldManager = 'murmur-up';
const deletionLimit = 120_000;

const document = z.looseObject({
  apiVersion: z.string().min(1),
  kind: z.string().min(1),
  metadata: z.looseObject({ name: z.string().min(1), namespace: z.string().optional() }),
});

/** One document as it was written. */
export type ManifestObject = z.output<typeof document>;

/** What applying one document did. */
export interface Applied {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly change: 'created' | 'configured' | 'unchanged';
}

/** The documents of a YAML file. Not one byte is sent before all of them are understood. */
export async function readManifest(file: string): Promise<readonly ManifestObject[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw misused(
      `The manifest ${file} cannot be read: ${reasonOf(error)}.`,
      'Give --manifest a file with Kubernetes objects.',
    );
  }
  return parseManifest(text, file);
}

/** {@link readManifest} without the file. Pure. */
export function parseManifest(text: string, file: string): readonly ManifestObject[] {
  const objects: ManifestObject[] = [];
  for (const [index, part] of parseAllDocuments(text).entries()) {
    const [problem] = part.errors;
    if (problem !== undefined) {
      throw misused(`${file}: ${problem.message.split('\n')[0]}`, 'Mend the YAML there.');
    }
    const value: unknown = part.toJS();
    if (value === null || value === undefined) continue;
    const parsed = document.safeParse(value);
    if (!parsed.success) {
      throw misused(
        `${file}: document ${index + 1} is no Kubernetes object.`,
        'Give it apiVersion, kind and metadata.name.',
      );
    }
    objects.push(parsed.data);
  }
  if (objects.length === 0)
    throw misused(`${file} holds no object.`, 'Give --manifest a file with Kubernetes objects.');
  return objects;
}

/** Applies the objects in their order; those that name no namespace go into `namespace`. */
export async function applyManifest(
  client: Client,
  objects: readonly ManifestObject[],
  namespace: string,
): Promise<readonly Applied[]> {
  const kinds = new Kinds(client);
  const applied: Applied[] = [];
  for (const object of objects) {
    const kind = await kinds.of(object);
    const placed = place(object, kind, namespace);
    const key = { namespace: placed.metadata.namespace ?? '', name: placed.metadata.name };
    const before = await client.find(kind, key);
    const after = await client.apply(kind, placed, { fieldManager });
    const change = before === undefined ? 'created' : isSame(before, after) ? 'unchanged' : 'configured';
    applied.push({ kind: object.kind, ...key, change });
  }
  return applied;
}

/** Deletes the objects, last first, and waits until they are gone. Those that are not there are passed over. */
export async function deleteManifest(
  client: Client,
  objects: readonly ManifestObject[],
  namespace: string,
  io: Pick<Io, 'now' | 'wait' | 'signal'>,
  say: (line: string) => void,
): Promise<number> {
  const kinds = new Kinds(client);
  const doomed: { readonly kind: AnyKind; readonly object: KubeObject }[] = [];
  for (const object of [...objects].reverse()) {
    const kind = await kinds.find(object);
    if (kind === undefined) continue;
    const placed = place(object, kind, namespace);
    try {
      await client.delete(kind, keyOf(placed), { propagation: 'Foreground', signal: io.signal });
      doomed.push({ kind, object: placed });
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
    }
  }
  const end = io.now() + deletionLimit;
  for (const { kind, object } of doomed) {
    while ((await client.find(kind, keyOf(object), { signal: io.signal })) !== undefined) {
      say(`waiting until ${object.kind} ${object.metadata.name} is gone`);
      if (io.now() > end) {
        throw failed(
          `${object.kind} ${object.metadata.name} is still there: its finalizers have not run.`,
          `See what holds it: kubectl describe ${kind.plural}.${kind.group} ${object.metadata.name} -n ${object.metadata.namespace}`,
        );
      }
      await io.wait(500, io.signal);
    }
  }
  return doomed.length;
}

/** Nothing but the status differs: the operator may have written that in between. */
function isSame(before: KubeObject, after: KubeObject): boolean {
  if (before.metadata.resourceVersion === after.metadata.resourceVersion) return true;
  const { generation, labels, annotations } = after.metadata;
  return (
    generation !== undefined &&
    generation === before.metadata.generation &&
    isDeepStrictEqual(labels, before.metadata.labels) &&
    isDeepStrictEqual(annotations, before.metadata.annotations)
  );
}

const keyOf = (object: KubeObject) => ({ namespace: object.metadata.namespace ?? '', name: object.metadata.name });

function place(object: ManifestObject, kind: AnyKind, namespace: string): KubeObject {
  const { namespace: own, ...metadata } = object.metadata;
  return { ...object, metadata: kind.namespaced ? { ...metadata, namespace: own ?? namespace } : metadata };
}

const resources = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});

/** Kinds as the API server serves them. */
class Kinds {
  readonly #client: Client;
  readonly #served = new Map<string, readonly z.output<typeof resources>['resources'][number][]>();

  constructor(client: Client) {
    this.#client = client;
  }

  async of(object: ManifestObject): Promise<AnyKind> {
    const kind = await this.find(object);
    if (kind !== undefined) return kind;
    throw failed(
      `The cluster does not know the kind ${object.kind} of ${object.apiVersion}.`,
      'Check apiVersion and kind in the manifest; the kinds of Murmuration come with its chart.',
    );
  }

  async find({ apiVersion, kind }: ManifestObject): Promise<AnyKind | undefined> {
    const [first = '', second] = apiVersion.split('/');
    const group = second === undefined ? '' : first;
    const version = second ?? first;
    const found = (await this.#list(group, version)).find((one) => one.kind === kind && !one.name.includes('/'));
    if (found === undefined) return undefined;
    return defineKind<KubeObject>({ group, version, kind, plural: found.name, namespaced: found.namespaced });
  }

  async #list(group: string, version: string): Promise<z.output<typeof resources>['resources']> {
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const known = this.#served.get(path);
    if (known !== undefined) return [...known];
    try {
      const served = resources.parse(await this.#client.raw(path)).resources;
      this.#served.set(path, served);
      return served;
    } catch (error) {
      if (error instanceof NotFound) return [];
      throw error;
    }
  }
}
