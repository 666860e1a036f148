/** How a user is let into a network: an entry in the cluster, which the operator puts into the charter. */
import { USER_ENTRY_FIELDS, userEntryLabels, userEntryName } from '../../api/index.ts';
import { type Client, ConfigMap, NotFound } from '../../kube/index.ts';
import { timedOut } from '../errors.ts';
import type { Io } from '../io.ts';
import { readTrusted, type Trusted, type TrustedFrom } from '../pull/trusted.ts';

const second = 1000;
const LET_IN_MILLISECONDS = 60 * second;

/** Who asks to be let in, where and until when. */
export interface Entry {
  readonly namespace: string;
  readonly network: string;
  readonly peerId: string;
  /** For people who look at the entry. */
  readonly name: string;
  /** Unix milliseconds. */
  readonly until: number;
}

/** Asks to be let in, or to stay. */
export async function writeEntry(client: Client, entry: Entry, signal: AbortSignal): Promise<void> {
  const { namespace, network, peerId, name, until } = entry;
  const object: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: userEntryName(network, peerId), namespace, labels: { ...userEntryLabels(network) } },
    data: {
      [USER_ENTRY_FIELDS.peerId]: peerId,
      [USER_ENTRY_FIELDS.name]: name,
      [USER_ENTRY_FIELDS.notAfter]: new Date(until).toISOString(),
    },
  };
  await client.apply(ConfigMap, object, { fieldManager: 'murmur', force: true, signal });
}

/** Asks to be let out. @returns whether there was an entry */
export async function removeEntry(
  client: Client,
  entry: Pick<Entry, 'namespace' | 'network' | 'peerId'>,
): Promise<boolean> {
  const { namespace, network, peerId } = entry;
  try {
    await client.delete(ConfigMap, { namespace, name: userEntryName(network, peerId) });
    return true;
  } catch (error) {
    if (error instanceof NotFound) return false;
    throw error;
  }
}

/** The charter once it names the user. @throws CommandError where that takes too long */
export async function untilLetIn(from: TrustedFrom, entry: Entry, io: Pick<Io, 'now' | 'wait'>): Promise<Trusted> {
  const end = io.now() + LET_IN_MILLISECONDS;
  const seconds = Math.floor(entry.until / second);
  for (;;) {
    const trusted = await readTrusted(from);
    const member = trusted.charter.members.find(({ peerId }) => peerId === entry.peerId);
    if (member !== undefined && (member.role !== 'user' || member.notAfter >= seconds)) return trusted;
    if (io.now() >= end) {
      const name = userEntryName(entry.network, entry.peerId);
      throw timedOut(
        `The operator has not let you into network ${entry.network} within ${LET_IN_MILLISECONDS / second} s (ConfigMap ${entry.namespace}/${name}).`,
        'See whether the operator runs (kubectl get pods -n murmuration-system). A network lets in 256 users at most.',
      );
    }
    await io.wait(second, from.signal);
  }
}
