import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';

/** Which cluster, who we are, and whom we trust. `KubeConfig` of `@kubernetes/client-node` is one. */
export interface ClusterConfig {
  getCurrentCluster(): { readonly server: string; readonly proxyUrl?: string | undefined } | null;
  getCurrentContext(): string;
  /** Fills in headers and TLS material; asked again from time to time, since tokens are exchanged. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

/** Where the kubelet mounts a pod's credentials. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The cluster that this pod is in, as its service account. Does for a pod what `KubeConfig.loadFromCluster` does; loading
 * `@kubernetes/client-node` for it would cost 60 MB.
 */
export class InCluster implements ClusterConfig {
  readonly #server: string;
  readonly #folder: string;

  /**
   * @param env with the address that every pod is given
   * @throws Error when this is no pod, or one without a service account
   */
  constructor(env: Readonly<Record<string, string | undefined>>, folder = SERVICE_ACCOUNT) {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
    if (host === undefined || host === '') {
      throw new Error('KUBERNETES_SERVICE_HOST is not set, so this is no pod of a cluster. Name a kubeconfig.');
    }
    if (!InCluster.has(folder)) {
      throw new Error(
        `there is no token in ${folder}. Set automountServiceAccountToken of the pod, or name a kubeconfig.`,
      );
    }
    this.#server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#folder = folder;
  }

  /** Whether a pod's credentials are mounted there. */
  static has(folder = SERVICE_ACCOUNT): boolean {
    return existsSync(join(folder, 'token'));
  }

  getCurrentCluster(): { readonly server: string } {
    return { server: this.#server };
  }

  getCurrentContext(): string {
    return 'in-cluster';
  }

  async applyToHTTPSOptions(options: RequestOptions): Promise<void> {
    const [token, ca] = await Promise.all(
      ['token', 'ca.crt'].map((file) => readFile(join(this.#folder, file), 'utf8')),
    );
    options.headers = { ...options.headers, Authorization: `Bearer ${token?.trim() ?? ''}` } as NonNullable<
      RequestOptions['headers']
    >;
    options.ca = ca;
  }
}
