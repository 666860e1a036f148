import { ANNOTATIONS, type DataSource } from '../../../api/index.ts';
import { ownerReference, type Pod } from '../../../kube/index.ts';
import { digestOf } from '../../digest.ts';
import type { ValidatorNode } from '../../kinds.ts';
import { names, validatorLabels } from '../../labels.ts';
import { keySecretName } from './key-secret.ts';
import { strategicMerge } from './merge.ts';

/** Ports of a validator's pod. */
export const PORTS = { p2p: 4001, http: 8080 } as const;
/** User and group of every process in the image. */
const USER = 65_532;
const GPU_RESOURCE = 'nvidia.com/gpu';

type PodSpec = NonNullable<Pod['spec']>;
type Container = PodSpec['containers'][number];
type Volume = NonNullable<PodSpec['volumes']>[number];
type VolumeMount = NonNullable<Container['volumeMounts']>[number];

/** What a pod is made from besides its ValidatorNode. */
export interface PodSetting {
  /** Image where the spec names none: the operator's own. */
  readonly image: string;
  /** Peer id of the authority key that signs charters. */
  readonly authority: string;
  /** Data sources of the network's models. */
  readonly sources: readonly DataSource[];
  /** Claims of those sources that exist: a pod that names a missing claim would never be scheduled. */
  readonly claims: ReadonlySet<string>;
}

const hardened = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

/** What of a pod is planned; a pod that was made from another plan is replaced. */
interface PodPlan {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

function podPlan(node: ValidatorNode, setting: PodSetting): PodPlan {
  const { metadata: extra, spec: patch } = node.spec.podTemplate ?? {};
  return {
    labels: { ...extra?.labels, ...validatorLabels(node) },
    annotations: { ...extra?.annotations },
    spec: strategicMerge(podSpec(node, setting), patch) as PodSpec,
  };
}

const remembered = new WeakMap<PodSetting, WeakMap<ValidatorNode, string>>();

/** Name of the pod that the ValidatorNode would get now, whether it exists already or not. Worked out once for each pair. */
export function plannedPodHash(node: ValidatorNode, setting: PodSetting): string {
  const known = remembered.get(setting) ?? new WeakMap<ValidatorNode, string>();
  remembered.set(setting, known);
  const hash = known.get(node) ?? digestOf(podPlan(node, setting));
  known.set(node, hash);
  return hash;
}

/** The pod as planned, with the hash of the plan in an annotation. */
export function buildPod(node: ValidatorNode, setting: PodSetting): Pod {
  const { name, namespace } = node.metadata;
  const plan = podPlan(node, setting);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: plan.labels,
      annotations: { ...plan.annotations, [ANNOTATIONS.podHash]: digestOf(plan) },
      ownerReferences: [ownerReference(node)],
    },
    spec: plan.spec,
  };
}

/** Hash of the plan that the pod was made from; undefined for a pod that is not ours. */
export const podHashOf = (pod: Pod): string | undefined => pod.metadata.annotations?.[ANNOTATIONS.podHash];

function podSpec(node: ValidatorNode, setting: PodSetting): PodSpec {
  const { name } = node.metadata;
  const { imagePullSecrets, resources } = node.spec;
  const claims = resources.gpu?.resourceClaims;
  const data = dataVolumes(node, setting);
  return {
    hostname: name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 20,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets }),
    ...(claims === undefined ? {} : { resourceClaims: claims }),
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'murmuration-validator' } },
      },
    ],
    initContainers: [signer(node, setting)],
    containers: [validator(node, setting, data)],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: names.volume(name) } },
      { name: 'identity', secret: { secretName: keySecretName(node, 'identity'), defaultMode: 0o440 } },
      { name: 'stake', secret: { secretName: keySecretName(node, 'stake'), defaultMode: 0o440 } },
      { name: 'charter', configMap: { name: names.charter(node.spec.network), optional: true } },
      { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'tmp', emptyDir: {} },
      ...data.map(({ volume }) => volume),
    ],
  };
}

/** The image has no shell: node itself looks whether somebody listens on the signer's socket. */
const SOCKET_ANSWERS =
  "require('node:net').connect('/run/murmuration/signer.sock', () => process.exit(0)).on('error', () => process.exit(1))";

/** The only container that can read the stake key. A native sidecar: up before the validator, down after it. */
function signer(node: ValidatorNode, setting: PodSetting): Container {
  return {
    name: 'signer',
    image: node.spec.image ?? setting.image,
    imagePullPolicy: node.spec.imagePullPolicy,
    restartPolicy: 'Always',
    args: [
      'signer',
      ...['--key', '/keys/stake/stake.key'],
      ...['--socket', '/run/murmuration/signer.sock'],
      ...['--state-dir', '/var/lib/murmuration'],
    ],
    securityContext: hardened,
    startupProbe: {
      exec: { command: ['node', '--eval', SOCKET_ANSWERS] },
      periodSeconds: 1,
      failureThreshold: 60,
    },
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } },
    volumeMounts: [
      { name: 'stake', mountPath: '/keys/stake', readOnly: true },
      { name: 'run', mountPath: '/run/murmuration' },
      { name: 'data', mountPath: '/var/lib/murmuration' },
    ],
  };
}

function validator(node: ValidatorNode, setting: PodSetting, data: readonly DataVolume[]): Container {
  const { name, namespace = '' } = node.metadata;
  const { network } = node.spec;
  return {
    name: 'validator',
    image: node.spec.image ?? setting.image,
    imagePullPolicy: node.spec.imagePullPolicy,
    args: [
      'validator',
      ...['--name', name],
      ...['--network', `${namespace}/${network}`],
      ...['--authority', setting.authority],
      ...['--identity', '/keys/identity/identity.key'],
      ...['--charter', '/etc/murmuration/charter/charter.bin'],
      ...['--state-dir', '/var/lib/murmuration/validator'],
      ...['--signer', '/run/murmuration/signer.sock'],
      ...['--listen', `/ip4/0.0.0.0/tcp/${PORTS.p2p}`],
      ...['--http', `0.0.0.0:${PORTS.http}`],
      ...['--mounts', '/data'],
      ...(node.spec.data === undefined ? [] : ['--own-data', `/data/own/${node.spec.data.file}`]),
    ],
    securityContext: hardened,
    ports: [
      { name: 'p2p', containerPort: PORTS.p2p, protocol: 'TCP' },
      { name: 'http', containerPort: PORTS.http, protocol: 'TCP' },
    ],
    // A cold start on a busy machine takes seconds to minutes; after that, misses for 15 s count.
    startupProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1, failureThreshold: 180 },
    readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 2, failureThreshold: 7 },
    livenessProbe: {
      httpGet: { path: '/healthz', port: 'http' },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    resources: containerResources(node),
    volumeMounts: [
      { name: 'identity', mountPath: '/keys/identity', readOnly: true },
      { name: 'charter', mountPath: '/etc/murmuration/charter', readOnly: true },
      { name: 'data', mountPath: '/var/lib/murmuration/validator', subPath: 'validator' },
      { name: 'run', mountPath: '/run/murmuration' },
      { name: 'tmp', mountPath: '/tmp' },
      ...data.map(({ mount }) => mount),
    ],
  };
}

function containerResources(node: ValidatorNode): Container['resources'] {
  const { requests, limits, gpu } = node.spec.resources;
  const text = (amounts: Readonly<Record<string, string | number>>): Record<string, string> =>
    Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)]));
  if (gpu === undefined) return { requests: text(requests), limits: text(limits) };
  if (gpu.resourceClaims !== undefined) {
    return {
      requests: text(requests),
      limits: text(limits),
      claims: gpu.resourceClaims.map(({ name }) => ({ name })),
    };
  }
  return {
    requests: text(requests),
    limits: { ...text(limits), [gpu.resourceName ?? GPU_RESOURCE]: String(gpu.count) },
  };
}

interface DataVolume {
  readonly volume: Volume;
  readonly mount: VolumeMount;
}

/** One volume for each ConfigMap and claim that a model of the network reads, and one for the validator's own data. */
function dataVolumes(node: ValidatorNode, setting: PodSetting): readonly DataVolume[] {
  const configMaps = new Set(setting.sources.flatMap(({ configMap }) => (configMap ? [configMap.name] : [])));
  const claims = new Set(setting.sources.flatMap(({ claim }) => (claim ? [claim.claimName] : [])));
  const own = node.spec.data;
  return [
    ...[...configMaps].sort().map((name) => configMapVolume(name, `/data/configmap/${name}`)),
    ...[...claims]
      .sort()
      .filter((name) => setting.claims.has(name))
      .map((name) => claimVolume(name, `/data/claim/${name}`)),
    ...(own?.configMap === undefined ? [] : [configMapVolume(own.configMap, '/data/own')]),
    ...(own?.claimName === undefined ? [] : [claimVolume(own.claimName, '/data/own')]),
  ];
}

/** Optional, so that a missing ConfigMap is a problem of the model that names it and not of the whole validator. */
function configMapVolume(name: string, mountPath: string): DataVolume {
  const volume = volumeName('configmap', name, mountPath);
  return {
    volume: { name: volume, configMap: { name, optional: true } },
    mount: { name: volume, mountPath, readOnly: true },
  };
}

function claimVolume(claimName: string, mountPath: string): DataVolume {
  const volume = volumeName('claim', claimName, mountPath);
  return {
    volume: { name: volume, persistentVolumeClaim: { claimName, readOnly: true } },
    mount: { name: volume, mountPath, readOnly: true },
  };
}

/** Names of objects can be longer than those of volumes and hold dots, so they go in as a digest. */
const volumeName = (kind: string, name: string, mountPath: string): string =>
  `${kind}-${digestOf({ name, mountPath })}`;
