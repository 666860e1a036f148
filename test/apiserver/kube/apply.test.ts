import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Applier,
  ApplyMemory,
  Caches,
  Client,
  ConfigMap,
  Conflict,
  coreKinds,
  Deployment,
  type Existing,
  KindTable,
  type KubeObject,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  Store,
  silent,
  systemClock,
} from '../../../src/kube/index.ts';
import { apiServer } from '../harness.ts';
import { eventually } from './eventually.ts';
import { configFor } from './proxy.ts';

describe('apply, before a real API server', () => {
  const api = apiServer();
  const written: string[] = [];
  const reasons: string[] = [];
  const plain = Client.from(configFor(api));
  const stop = new AbortController();
  let caches: Caches;
  let client: Client;
  let running: Promise<void>;
  let namespace: string;
  let owner: Existing<ConfigMap>;

  beforeAll(async () => {
    namespace = await api.namespace('kube-apply');
    caches = new Caches({
      client: plain,
      clock: systemClock,
      random: Math.random,
      log: silent,
      namespaces: [namespace],
    });
    for (const kind of [Pod, Service, PersistentVolumeClaim, Secret, ConfigMap, Deployment])
      caches.declare<KubeObject>(kind);
    client = plain.with({
      onWritten: (one) => {
        written.push(one.type === 'stored' ? one.object.metadata.name : one.key.name);
        caches.learn(one);
      },
    });
    running = caches.run(stop.signal);
    await caches.whenSynced(AbortSignal.timeout(10_000));
    owner = await client.create(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: 'owner' },
    });
  });
  afterAll(async () => {
    stop.abort(new Error('the tests are over'));
    await running;
    await plain.close();
    await api.close();
  });

  /** As a process does that has just started: nothing is remembered but what the server has. */
  const applier = (memory = new ApplyMemory(), stores: Pick<Caches, 'covering'> = caches) =>
    new Applier({
      client,
      stores,
      kinds: new KindTable(coreKinds),
      fieldManager: 'test',
      log: { ...silent, debug: (fields) => reasons.push(JSON.stringify(fields)) },
      memory,
    });

  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod', labels: { app: 'x' }, annotations: undefined },
    spec: {
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      tolerations: [{ key: 'mine', operator: 'Exists' }],
      nodeSelector: {},
      containers: [
        {
          name: 'c',
          image: 'image:1',
          args: ['a', '--b=c'],
          env: [
            { name: 'ONE', value: '1' },
            { name: 'TWO', value: '' },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1' } } },
          ],
          ports: [{ name: 'http', containerPort: 80 }],
          resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { cpu: 2, memory: '2.5Gi' } as never },
          readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 5 },
          volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: '1024Mi' } },
        { name: 'two', emptyDir: {} },
        { name: 'three', secret: { secretName: 's', defaultMode: 0o400 } },
      ],
    },
  };
  const children: readonly KubeObject[] = [
    pod,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'service' },
      spec: {
        clusterIP: 'None',
        selector: { app: 'x' },
        publishNotReadyAddresses: true,
        ports: [{ name: 'p2p', port: 4001 }],
      },
    } as Service,
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'claim' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1024Mi' } },
        storageClassName: undefined,
      },
    } as PersistentVolumeClaim,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'secret' },
      stringData: { key: 'hidden' },
      immutable: true,
    } as Secret,
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'deployment' },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'x' } },
        template: { metadata: { name: '', labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    } as unknown as Deployment,
  ];

  it.each(children.map((child) => [child.kind, child] as const))(
    'writes a %s once, and not again after a restart',
    async (_, child) => {
      written.length = 0;
      const made = await applier().apply(child, { owner });
      expect(made.metadata.ownerReferences?.[0]).toMatchObject({ uid: owner.metadata.uid, controller: true });
      expect(written).toEqual([child.metadata.name]);
      expect(
        caches.of<KubeObject>(new KindTable(coreKinds).of(child)).get({ namespace, name: child.metadata.name })
          ?.metadata.uid,
      ).toBe(made.metadata.uid);
      reasons.length = 0;
      await applier().apply(child, { owner });
      expect(reasons).toEqual([]);
      expect(written).toEqual([child.metadata.name]);
    },
  );

  it('writes when a value differs, and what was changed by hand', async () => {
    const map = (size: string): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'map' },
      data: { size, other: 'x' },
    });
    await applier().apply(map('1'), { owner });
    expect((await applier().apply(map('2'), { owner })).data?.size).toBe('2');
    await plain.patch(ConfigMap, { namespace, name: 'map' }, { data: { other: 'by hand' } });
    await eventually(() => caches.of(ConfigMap).get({ namespace, name: 'map' })?.data?.other).toBe('by hand');
    expect((await applier().apply(map('2'), { owner })).data).toEqual({ size: '2', other: 'x' });
  });

  it('removes a field that it no longer gives, and leaves those of others', async () => {
    const map = (data: Record<string, string>): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'less' },
      data,
    });
    await applier().apply(map({ a: '1', b: '2' }), { owner });
    await client.patch(ConfigMap, { namespace, name: 'less' }, { data: { c: 'theirs' } });
    expect((await applier().apply(map({ a: '1' }), { owner })).data).toEqual({ a: '1', c: 'theirs' });
  });

  it('changes nothing by an old picture: what is newer stays as it is, and what is gone stays gone', async () => {
    const map = (value: string): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'newer' },
      data: { value },
    });
    const key = { namespace, name: 'newer' };
    const old = await applier().apply(map('1'), { owner });
    const store = new Store<KubeObject>();
    store.feed({ type: 'replaced', objects: [old], resourceVersion: old.metadata.resourceVersion });
    const behind = applier(new ApplyMemory(), { covering: () => ({ store: store as never, whole: true }) });
    await plain.patch(ConfigMap, key, { data: { value: '2' } });
    await expect(behind.apply(map('3'), { owner })).rejects.toThrow(Conflict);
    expect((await plain.get(ConfigMap, key)).data).toEqual({ value: '2' });
    await plain.delete(ConfigMap, key);
    await expect(behind.apply(map('3'), { owner })).rejects.toThrow(Conflict);
    expect(await plain.find(ConfigMap, key)).toBeUndefined();
  });

  it('does not take over what someone else controls', async () => {
    await applier().apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owned' } }, { owner });
    const other = await client.create(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: 'other' },
    });
    const taking = applier().apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owned' } },
      { owner: other },
    );
    await expect(taking).rejects.toThrow(Conflict);
    await expect(taking).rejects.toThrow(/controlled by ConfigMap owner/);
  });

  it('does not take over a stranger which its selector does not show', async () => {
    const labels = { mine: 'yes' };
    const seen = new Caches({
      client: plain,
      clock: systemClock,
      random: Math.random,
      log: silent,
      namespaces: [namespace],
    });
    seen.declare(ConfigMap, { selector: { labels } });
    const ours = new Applier({
      client,
      stores: seen,
      kinds: new KindTable(coreKinds),
      fieldManager: 'test',
      log: silent,
      memory: new ApplyMemory(),
    });
    await plain.create(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: 'stranger' },
      data: { a: 'theirs' },
    });
    const desired: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'stranger', labels },
      data: { a: 'ours' },
    };
    await expect(ours.apply(desired, { owner })).rejects.toThrow(/is not ours: it lacks our labels/);
    await ours.apply({ ...desired, metadata: { ...desired.metadata, name: 'free' } }, { owner });
    await expect(ours.apply({ ...desired, metadata: { name: 'bare' } }, { owner })).rejects.toThrow(
      /outside of every declared selector/,
    );
  });

  it('writes once in a process what its store shows only in part', async () => {
    const stop2 = new AbortController();
    const partial = new Caches({
      client: plain,
      clock: systemClock,
      random: Math.random,
      log: silent,
      namespaces: [namespace],
    });
    partial.declare(ConfigMap, {
      trim: ({ data: _, ...rest }) => ({ ...rest, metadata: { ...rest.metadata, annotations: undefined } }),
    });
    const ended = partial.run(stop2.signal);
    await partial.whenSynced(AbortSignal.timeout(10_000));
    const writes: string[] = [];
    const writer = plain.with({
      onWritten: (one) => {
        writes.push(one.type);
        partial.learn(one);
      },
    });
    const memory = new ApplyMemory();
    const apply = (a: string) =>
      new Applier({
        client: writer,
        stores: partial,
        kinds: new KindTable(coreKinds),
        fieldManager: 'test',
        log: silent,
        memory,
      }).apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'part' }, data: { a } }, { owner });
    await apply('1');
    await apply('1');
    expect(writes).toHaveLength(1);
    await apply('2');
    expect(writes).toHaveLength(2);
    stop2.abort(new Error('done'));
    await ended;
  });

  it('writes only once in a process what the server keeps in another form', async () => {
    const memory = new ApplyMemory();
    const odd = { ...pod, metadata: { name: 'odd' }, spec: { ...pod.spec, hostNetwork: false, hostPID: false } } as Pod;
    await applier(memory).apply(odd, { owner });
    written.length = 0;
    await applier(memory).apply(odd, { owner });
    expect(written).toEqual([]);
  });
});
