/**
 * How long until N gadgets, each with a Secret, a claim, a Service, a Pod and a status, are as they should be, before a
 * real kube-apiserver and etcd on this machine: written by a bare loop, and by a controller of src/kube.
 *
 *     node bench/kube-converge.ts [N] [concurrency]
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Client,
  Controller,
  type KubeObject,
  Manager,
  ownerReference,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
} from '../src/kube/index.ts';
import { findAssets, startControlPlane } from '../test/apiserver/control-plane.ts';
import { connect } from '../test/apiserver/harness.ts';
import { Gadget, gadget, installGadgets } from '../test/apiserver/kube/gadget.ts';
import { configFor } from '../test/apiserver/kube/proxy.ts';

const count = Number(process.argv[2] ?? 200);
const concurrency = Number(process.argv[3] ?? 16);
const kinds = [Secret, PersistentVolumeClaim, Service, Pod] as const;

function children(namespace: string, name: string): readonly KubeObject[] {
  const metadata = { namespace, name, labels: { app: name } };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata, data: { key: 'AAAA' } } as Secret,
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata,
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    } as PersistentVolumeClaim,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: 'None', selector: { app: name }, ports: [{ port: 4001 }] },
    } as Service,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: {
        automountServiceAccountToken: false,
        containers: [{ name: 'c', image: 'image:1', resources: { requests: { cpu: '10m' } } }],
      },
    } as Pod,
  ];
}

/** Runs `work` for every index, so many at once. */
async function pool(work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (let at = next++; at < count; at = next++) await work(at);
    }),
  );
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const plane = await startControlPlane(await findAssets(root));
const api = connect(plane);
const client = Client.from(configFor(plane));
try {
  await installGadgets(api);

  const bare = async (): Promise<number> => {
    const namespace = await api.namespace('bare');
    const started = performance.now();
    await pool(async (at) => {
      const owner = await client.create(Gadget, gadget(namespace, `g${at}`, { size: at % 100 }));
      const ownerReferences = [ownerReference(owner)];
      await Promise.all(
        children(namespace, `g${at}`).map((child, of) =>
          client.apply<KubeObject>(
            kinds[of] ?? Pod,
            { ...child, metadata: { ...child.metadata, ownerReferences } },
            { fieldManager: 'bare' },
          ),
        ),
      );
      await client.patchStatus(Gadget, { namespace, name: `g${at}` }, { seen: at % 100 });
    });
    return performance.now() - started;
  };

  const ours = async (): Promise<number> => {
    const namespace = await api.namespace('ours');
    let converged = 0;
    let finish = () => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const controller = new Controller(Gadget, { concurrency });
    for (const kind of kinds) controller.owns<KubeObject>(kind);
    controller.run(async ({ key, stores, apply, setStatus }) => {
      const owner = stores.of(Gadget).get(key);
      if (owner === undefined) return;
      await Promise.all(children(namespace, key.name).map((child) => apply(child, { owner })));
      const seen = owner.spec?.size;
      if (owner.status?.seen === seen) return;
      await setStatus(owner, { seen });
      converged += 1;
      if (converged === count) finish();
    });
    const manager = new Manager({ client, fieldManager: 'ours', identity: 'bench', namespaces: [namespace] });
    await manager.add(controller).start();
    const started = performance.now();
    await pool(async (at) => {
      await client.create(Gadget, gadget(namespace, `g${at}`, { size: at % 100 }));
    });
    await done;
    const ms = performance.now() - started;
    await manager.stop();
    return ms;
  };

  const show = (name: string, ms: number) =>
    console.log(`${name.padEnd(6)} ${(ms / 1000).toFixed(2)} s  ${((count * 1000) / ms).toFixed(0)} gadgets/s`);
  await bare(); // warms the API server and the JIT
  const times = { bare: [] as number[], ours: [] as number[] };
  for (let round = 0; round < 3; round += 1) {
    times.bare.push(await bare());
    times.ours.push(await ours());
  }
  const median = (of: number[]) => of.sort((a, b) => a - b)[1] ?? Number.NaN;
  show('bare', median(times.bare));
  show('ours', median(times.ours));
  console.log(
    `ratio  ${(median(times.ours) / median(times.bare)).toFixed(2)} (${count} gadgets, ${concurrency} at once, median of 3)`,
  );
} finally {
  await client.close();
  await api.close();
  await plane.stop();
}
