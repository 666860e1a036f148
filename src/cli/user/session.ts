/** From flags to a user's peer in the overlay of a model's network, and back out of it. */
import { pino } from 'pino';
import type { Model } from '../../api/index.ts';
import { createOverlay, type Member, memoryCharterStore, type Overlay } from '../../overlay/index.ts';
import { type Connection, withConnection } from '../cluster/connection.ts';
import { failed } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Listed } from '../fleet/listed.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { chooseModel, chooseValidators } from '../predict/choose.ts';
import type { Trusted } from '../pull/trusted.ts';
import type { UserIdentity } from './identity.ts';

/** Port of a validator on which it speaks libp2p. */
const P2P_PORT = 4001;

/** What both commands of a user are told. */
export interface SessionFlags extends ClusterFlags {
  readonly model: string;
  readonly authority?: string;
  readonly debug?: boolean;
}

/** A model's network, as the cluster shows it. */
export interface Place extends Connection {
  readonly model: Model;
  readonly listed: Listed;
  /** Pods of the network's validators, ready ones first. */
  readonly pods: readonly string[];
}

/** Finds the model and the validators of its network. @throws CommandError */
export function atPlace<T>(flags: SessionFlags, io: Io, act: (place: Place) => Promise<T>): Promise<T> {
  return withConnection(flags, io, async (connection) => {
    const { client, namespace } = connection;
    const listed = await listFleets(client, namespace, io.signal);
    const model = chooseModel(listed, flags.model, namespace);
    return act({ ...connection, model, listed, pods: chooseValidators(listed, flags.model, namespace) });
  });
}

/** A user's peer that runs. */
export interface Session extends AsyncDisposable {
  readonly overlay: Overlay;
  readonly reach: (validator: Member) => Promise<string | undefined>;
  /** Why pods cannot be reached. */
  readonly refusals: () => readonly string[];
}

/** Joins the overlay with the charter that was read. Pods are reached through the API server. */
export async function openSession(
  { namespace, tunnels, listed, model }: Pick<Place, 'namespace' | 'tunnels' | 'listed' | 'model'>,
  { signed, authority }: Trusted,
  identity: UserIdentity,
  flags: SessionFlags,
): Promise<Session> {
  const pods = new Map(listed.nodes.map(({ metadata, status }) => [metadata.name, status?.podName]));
  const overlay = createOverlay({
    network: `${namespace}/${model.spec.network}`,
    identity: identity.key,
    authority: authority.peerId,
    listen: [],
    charters: memoryCharterStore(signed),
    log: pino({ level: flags.debug === true ? 'debug' : 'silent' }, pino.destination(2)),
  });
  const close = async (): Promise<void> => {
    await overlay.stop();
  };
  try {
    await overlay.start();
  } catch (error) {
    await close();
    throw failed('Your peer in the network could not be started.', 'Try again; --debug says more.', error);
  }
  return {
    overlay,
    reach: async ({ name }) => {
      const pod = pods.get(name);
      // Whoever else on this machine connects to the port meets a validator's handshake, which lets in members only.
      return pod === undefined ? undefined : `/ip4/127.0.0.1/tcp/${await tunnels.to(pod, P2P_PORT)}`;
    },
    refusals: () => tunnels.refusals,
    [Symbol.asyncDispose]: close,
  };
}
