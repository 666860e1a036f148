/** Which cluster a command talks to: flags first, then the environment, then what `murmur up` made. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { failed, misused, reasonOf } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';

const inPod = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** Where `tools/cluster.sh create NAME` leaves the kubeconfig of a cluster that it made. */
export function kubeconfigOf(name: string, env: Io['env']): string {
  return join(env.MURMURATION_CACHE ?? join(env.HOME ?? homedir(), '.cache', 'murmuration'), `kubeconfig-${name}`);
}

/** Reads the kubeconfig that flags and environment name. Never falls back to an address that nobody gave. */
export function loadKubeConfig(flags: ClusterFlags, io: Pick<Io, 'env' | 'folder'>): KubeConfig {
  const config = new KubeConfig();
  const files = candidates(flags, io);
  const [file] = files;
  if (file === undefined) {
    if (existsSync(inPod)) config.loadFromCluster();
    else throw noCluster();
  } else {
    load(config, files);
  }
  if (flags.context !== undefined) useContext(config, flags.context);
  if (config.getCurrentCluster() === null) {
    throw failed(
      `The kubeconfig ${files.join(', ')} has no cluster for its context "${config.getCurrentContext()}".`,
      'Choose another one with --context, or run: kubectl config use-context NAME',
    );
  }
  return config;
}

/** Namespace of the context, `default` where it names none. */
export function namespaceOf(config: KubeConfig, flags: ClusterFlags): string {
  return flags.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
}

function candidates(flags: ClusterFlags, { env, folder }: Pick<Io, 'env' | 'folder'>): readonly string[] {
  if (flags.kubeconfig !== undefined) {
    const file = resolve(folder, flags.kubeconfig);
    if (!existsSync(file)) throw misused(`There is no kubeconfig ${file}.`, 'Check the path given to --kubeconfig.');
    return [file];
  }
  const named = (env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (named.length > 0) {
    const present = named.filter((file) => existsSync(file));
    if (present.length > 0) return present;
    throw failed(`There is no file ${named.join(', ')}, which KUBECONFIG names.`, 'Correct KUBECONFIG, or unset it.');
  }
  if (existsSync(inPod)) return [];
  const own = kubeconfigOf('murmuration', env);
  const usual = join(env.HOME ?? homedir(), '.kube', 'config');
  // A context asked for by name is looked up where kubectl would look.
  const order = flags.context === undefined && env.CLUSTER !== 'current' ? [own, usual] : [usual, own];
  return order.filter((file) => existsSync(file)).slice(0, 1);
}

function load(config: KubeConfig, files: readonly string[]): void {
  const [first, ...rest] = files;
  try {
    config.loadFromFile(first ?? '');
    for (const file of rest) {
      const more = new KubeConfig();
      more.loadFromFile(file);
      config.mergeConfig(more, true);
    }
  } catch (error) {
    throw failed(
      `The kubeconfig ${files.join(', ')} cannot be read: ${reasonOf(error)}.`,
      'Mend the file, or name another with --kubeconfig.',
    );
  }
}

function useContext(config: KubeConfig, name: string): void {
  const known = config.getContexts().map((context) => context.name);
  if (!known.includes(name)) {
    throw misused(
      `The kubeconfig has no context "${name}".`,
      known.length === 0 ? 'It has none at all.' : `Choose one of: ${known.join(', ')}.`,
    );
  }
  config.setCurrentContext(name);
}

const noCluster = () =>
  failed(
    'No cluster is known: there is no kubeconfig.',
    'Make a cluster with `murmur up`, or name a kubeconfig with --kubeconfig or KUBECONFIG.',
  );
