/** What a pulled version is held against: the charter of the network, signed by the authority. */
import { AUTHORITY_RECORD, CHARTER_FILE, charterName, RECORD_FIELDS } from '../../api/index.ts';
import { type Client, ConfigMap, Forbidden, Pod } from '../../kube/index.ts';
import {
  type Charter,
  decodeSignedCharter,
  InvalidCharterError,
  openCharter,
  type SignedCharter,
} from '../../overlay/index.ts';
import { failed, reasonOf } from '../errors.ts';
import { systemNamespace } from '../up/release.ts';

/** Whose word counts, and who says so. */
export interface Authority {
  /** Peer id of the key that signs charters. */
  readonly peerId: string;
  /** Where that peer id was read. */
  readonly from: string;
}

/** A charter whose signature is the authority's. */
export interface Trusted {
  readonly charter: Charter;
  /** As it was signed. */
  readonly signed: SignedCharter;
  readonly authority: Authority;
}

/** Where to look. */
export interface TrustedFrom {
  readonly client: Client;
  readonly namespace: string;
  readonly network: string;
  /** A validator's pod: it obeys the authority that its arguments name. */
  readonly pod: string;
  /** Peer id that a person gave. */
  readonly authority: string | undefined;
  readonly signal: AbortSignal;
}

/** Reads the charter that the operator recorded in the cluster and checks it. @throws CommandError */
export async function readTrusted(where: TrustedFrom): Promise<Trusted> {
  const { client, namespace, network, signal } = where;
  const key = { namespace, name: charterName(network) };
  const record = await client.find(ConfigMap, key, { signal });
  const file = record?.binaryData?.[CHARTER_FILE];
  if (file === undefined) {
    throw failed(
      `There is no charter of network ${network} in ConfigMap ${namespace}/${key.name}, so no certificate can be checked.`,
      'See whether the operator runs: kubectl get pods -n murmuration-system',
    );
  }
  const authority = await authorityOf(where);
  try {
    const signed = decodeSignedCharter(Buffer.from(file, 'base64'));
    const expected = { authority: authority.peerId, network: `${namespace}/${network}` };
    return { charter: await openCharter(signed, expected), signed, authority };
  } catch (error) {
    const why = error instanceof InvalidCharterError ? error.message : reasonOf(error);
    throw failed(
      `The charter in ConfigMap ${namespace}/${key.name} cannot be trusted: ${why} (as ${authority.from} says).`,
      'Do not use what validators of this network say until you know why. A new charter is written by the operator.',
    );
  }
}

async function authorityOf({ client, namespace, pod, authority, signal }: TrustedFrom): Promise<Authority> {
  if (authority !== undefined) return { peerId: authority, from: '--authority' };
  const key = { namespace: systemNamespace, name: AUTHORITY_RECORD };
  const record = await unlessForbidden(client.find(ConfigMap, key, { signal }));
  const recorded = record?.data?.[RECORD_FIELDS.authority];
  if (recorded !== undefined) return { peerId: recorded, from: `ConfigMap ${key.namespace}/${key.name}` };
  // An operator in another namespace, or one that we may not look into: its validators know whom they obey.
  const found = await unlessForbidden(client.find(Pod, { namespace, name: pod }, { signal }));
  const args = found?.spec?.containers.find(({ name }) => name === 'validator')?.args ?? [];
  const told = args[args.indexOf('--authority') + 1];
  if (args.includes('--authority') && told !== undefined) return { peerId: told, from: `Pod ${namespace}/${pod}` };
  throw failed(
    `Nobody says which key signs charters: there is no readable ConfigMap ${key.namespace}/${key.name}, and Pod ${namespace}/${pod} names none.`,
    'Give the peer id of the authority with --authority.',
  );
}

async function unlessForbidden<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Forbidden) return undefined;
    throw error;
  }
}
