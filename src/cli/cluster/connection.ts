/** One connection to one cluster, and its errors in words. */
import type { KubeConfig } from '@kubernetes/client-node';
import {
  Client,
  ConnectionFailed,
  DeadlineExceeded,
  Forbidden,
  HttpTransport,
  Invalid,
  NotFound,
  systemClock,
  type Transport,
  Unauthorized,
} from '../../kube/index.ts';
import { failed } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { Tunnels } from '../pod/tunnels.ts';
import { loadKubeConfig, namespaceOf } from './config.ts';

/** What commands need to talk to a cluster. */
export interface Connection {
  readonly client: Client;
  readonly transport: Transport;
  /** Ways to ports of pods of `namespace`. */
  readonly tunnels: Tunnels;
  /** URL of the API server. */
  readonly server: string;
  readonly namespace: string;
  close(): Promise<void>;
}

/** Connects to the cluster that flags and environment name, does what is asked, and lets go of it. */
export async function withConnection<T>(
  flags: ClusterFlags,
  io: Io,
  act: (connection: Connection) => Promise<T>,
): Promise<T> {
  const config = loadKubeConfig(flags, io);
  const connection = connect(config, namespaceOf(config, flags), io.signal);
  try {
    return await act(connection);
  } catch (error) {
    throw inWords(error, connection.server);
  } finally {
    await connection.close();
  }
}

/** A connection for a kubeconfig. Whoever makes it closes it. */
export function connect(config: KubeConfig, namespace: string, signal: AbortSignal): Connection {
  const transport = new HttpTransport({ config, clock: systemClock });
  const client = new Client({ transport, userAgent: 'murmur', attempts: 3, signal });
  const tunnels = new Tunnels(config, namespace);
  const close = async (): Promise<void> => {
    await tunnels.close();
    await transport.close();
  };
  return { client, transport, tunnels, server: config.getCurrentCluster()?.server ?? '', namespace, close };
}

/** The API server's refusals, said so that a person can act on them. Other errors are given back as they are. */
export function inWords(error: unknown, server: string): unknown {
  if (error instanceof ConnectionFailed || error instanceof DeadlineExceeded) {
    return failed(
      `The API server ${server} does not answer.`,
      'See whether the cluster runs (`murmur up` starts one), and whether --context and KUBECONFIG name the right one.',
      error,
    );
  }
  if (error instanceof Unauthorized) {
    return failed(
      `The API server ${server} does not accept who you are.`,
      'Renew the credentials of this context.',
      error,
    );
  }
  if (error instanceof Forbidden) {
    return failed('You may not do this in this cluster.', 'Ask for the right that the message names.', error);
  }
  if (error instanceof Invalid) {
    const causes = error.status?.details?.causes ?? [];
    const why = causes.map(({ field, message }) => `${field ?? 'object'}: ${message ?? 'is invalid'}`).join('\n  ');
    return failed(
      `The cluster refuses to ${error.attempt}:\n  ${why === '' ? (error.status?.message ?? error.message) : why}`,
      'Correct it there and run this again.',
    );
  }
  if (error instanceof NotFound && /^list (model|validator)/.test(error.message)) {
    return failed(
      `The cluster ${server} does not know the kinds of Murmuration.`,
      'Install the operator: `murmur up`, or helm install murmuration charts/murmuration.',
    );
  }
  return error;
}
