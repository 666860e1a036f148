/**
 * What writes objects with nothing around it, in a process of its own: a person who creates ValidatorNodes, and the bare
 * loop that the operator is compared with. The bare loop sends the requests that the operator sends for a validator, with
 * the same bodies and with as many validators under way at once; it has no watch, no queue, no cache, it makes no keys,
 * checks nothing and reads of an answer only the version that it needs for its next write.
 *
 * A parent forks it and sends it {@link Task}s; it answers each with a {@link Done}.
 */
import { randomBytes } from 'node:crypto';
import { type Dispatcher, Pool } from 'undici';
import { ANNOTATIONS, API_VERSION, CHARTER_FILE, FINALIZER, reservationName } from '../../src/api/index.ts';
import { microTime } from '../../src/kube/index.ts';
import type { ValidatorNode } from '../../src/operator/kinds.ts';
import { charterLabels } from '../../src/operator/network/record.ts';
import { buildKeySecret, KEY_FILE } from '../../src/operator/node/children/key-secret.ts';
import { buildPod, type PodSetting } from '../../src/operator/node/children/pod.ts';
import { buildReservation } from '../../src/operator/node/children/reservation.ts';
import { buildService } from '../../src/operator/node/children/service.ts';
import { buildVolume } from '../../src/operator/node/children/volume.ts';

/** How the bare loop connects. */
export type Protocol = 'HTTP/1.1, 32 connections' | 'HTTP/2, 2 connections';

/** How often the operator wrote what it writes more than once, for one validator on average, and what it wrote. */
export interface Shape {
  readonly statuses: number;
  readonly reservationStatuses: number;
  readonly events: number;
  /** For all validators together. */
  readonly charters: number;
  readonly charterBytes: number;
  readonly status: object;
  readonly reservationStatus: object;
}

export type Task = {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly namespace: string;
  readonly network: string;
  readonly prefix: string;
  readonly count: number;
} & (
  | { readonly do: 'create' }
  | { readonly do: 'everything'; readonly protocol: Protocol; readonly shape: Shape; readonly atOnce: number }
);

export interface Done {
  readonly error?: string;
}

if (import.meta.main) {
  process.on('message', (task: Task) => {
    run(task).then(
      () => process.send?.({} satisfies Done),
      (error: unknown) => process.send?.({ error: String(error) } satisfies Done),
    );
  });
}

/** Creates so many ValidatorNodes at once. */
const PERSONS = 16;

type Send = (method: Dispatcher.HttpMethod, path: string, body: object, type?: string) => Promise<string>;

const merge = 'application/merge-patch+json';

async function run(task: Task): Promise<void> {
  const h2 = task.do === 'everything' && task.protocol.startsWith('HTTP/2');
  const pool = new Pool(task.url, {
    connect: { ca: task.ca },
    ...(h2 ? { allowH2: true, connections: 2, pipelining: 100 } : { connections: 32, pipelining: 1, allowH2: false }),
  });
  const authorization = `Bearer ${task.token}`;
  const send: Send = async (method, path, body, type = 'application/json') => {
    const answer = await pool.request({
      method,
      path,
      headers: { authorization, 'content-type': type, accept: 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
    return text;
  };
  try {
    if (task.do === 'create') await each(task.count, PERSONS, async (at) => void (await createNode(send, task, at)));
    else await Promise.all([everything(send, task), charters(send, task)]);
  } finally {
    await pool.close();
  }
}

/** Runs `work` for every index, so many at once. */
async function each(count: number, atOnce: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let at = next++; at < count; at = next++) await work(at);
    }),
  );
}

const paths = (namespace: string) => ({
  nodes: `/apis/${API_VERSION}/namespaces/${namespace}/validatornodes`,
  reservations: `/apis/${API_VERSION}/stakekeyreservations`,
  core: (plural: string): string => `/api/v1/namespaces/${namespace}/${plural}`,
  events: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
});

async function createNode(send: Send, { namespace, prefix, network }: Task, at: number): Promise<ValidatorNode> {
  const text = await send('POST', paths(namespace).nodes, {
    apiVersion: API_VERSION,
    kind: 'ValidatorNode',
    metadata: { name: `${prefix}-${at}` },
    spec: { network },
  });
  return JSON.parse(text) as ValidatorNode;
}

/** Of an average that is no whole number, how often it is the turn of this one. */
const turns = (average: number, at: number): number => Math.round((at + 1) * average) - Math.round(at * average);

const PEER_ID = '12D3KooWGQmdpzHXCqLno4mMxWXKNFQHASBeF99gTm2JR8Vu5Bdc';

async function everything(send: Send, task: Task & { readonly do: 'everything' }): Promise<void> {
  const { namespace, shape, count, atOnce } = task;
  const { nodes, reservations, core, events } = paths(namespace);
  const setting: PodSetting = { image: 'murmuration:bench', authority: PEER_ID, sources: [], claims: new Set() };
  const manager = '?fieldManager=murmuration';
  await each(count, atOnce, async (at) => {
    let node = await createNode(send, task, at);
    const { name } = node.metadata;
    const patch = async (subresource: string, body: object): Promise<void> => {
      const { resourceVersion } = node.metadata;
      const metadata = { ...(body as { readonly metadata?: object }).metadata, resourceVersion };
      const text = await send('PATCH', `${nodes}/${name}${subresource}${manager}`, { ...body, metadata }, merge);
      node = JSON.parse(text) as ValidatorNode;
    };
    await patch('', { metadata: { finalizers: [FINALIZER] } });
    const secret = (which: 'identity' | 'stake', bytes: number): object => ({
      ...buildKeySecret(node, which),
      data: { [KEY_FILE[which]]: randomBytes(bytes).toString('base64') },
    });
    const written = [
      send('POST', core('secrets') + manager, secret('identity', 68)),
      send('POST', core('secrets') + manager, secret('stake', 32)),
      send('POST', core('persistentvolumeclaims') + manager, buildVolume(node)),
      send('POST', core('services') + manager, buildService(node)),
    ];
    await Promise.all(written);
    const publicKey = `02${randomBytes(32).toString('hex')}`;
    await send('POST', reservations + manager, buildReservation(node, publicKey));
    let wrote = 0;
    const status = async (): Promise<void> => {
      wrote += 1;
      await patch('/status', {
        status: { ...shape.status, ...said(shape.status, wrote), stake: { publicKey, reserved: true } },
      });
    };
    await status();
    await send('POST', core('pods') + manager, buildPod(node, setting));
    for (let left = turns(shape.statuses, at) - 1; left > 0; left -= 1) await status();
    for (let left = turns(shape.reservationStatuses, at); left > 0; left -= 1) {
      const path = `${reservations}/${reservationName(publicKey)}/status${manager}`;
      await send('PATCH', path, { status: shape.reservationStatus }, merge);
    }
    for (let left = turns(shape.events, at); left > 0; left -= 1) await send('POST', events, event(node, left));
  });
}

/** Conditions that differ from those before, so that each write is one. */
function said(status: object, wrote: number): object {
  const { conditions = [] } = status as { readonly conditions?: readonly { readonly message: string }[] };
  return { conditions: conditions.map((condition) => ({ ...condition, message: `${condition.message} ${wrote}` })) };
}

const event = (node: ValidatorNode, at: number): object => {
  const { name, namespace, uid, resourceVersion } = node.metadata;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${name}.${randomBytes(6).toString('hex')}`, namespace },
    eventTime: microTime(Date.now()),
    reportingController: 'murmuration',
    reportingInstance: 'bare',
    type: 'Normal',
    reason: 'KeyMade',
    action: 'MakeKey',
    note: `Made key ${at} in Secret ${name}-identity.`,
    regarding: { apiVersion: node.apiVersion, kind: node.kind, name, namespace, uid, resourceVersion },
  };
};

/** Charters as they grow, one after the other, beside the rest: as the operator writes them. */
async function charters(
  send: Send,
  { namespace, network, shape }: Task & { readonly do: 'everything' },
): Promise<void> {
  const name = `${network}-charter`;
  for (let seq = 1; seq <= shape.charters; seq += 1) {
    const bytes = Math.round((shape.charterBytes * seq) / shape.charters);
    await send(
      'PATCH',
      `${paths(namespace).core('configmaps')}/${name}?fieldManager=murmuration&force=true`,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace, labels: charterLabels, annotations: { [ANNOTATIONS.podHash]: String(seq) } },
        binaryData: { [CHARTER_FILE]: randomBytes(bytes).toString('base64') },
      },
      'application/apply-patch+yaml',
    );
  }
}
