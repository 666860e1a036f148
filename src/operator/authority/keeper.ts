import { AUTHORITY_RECORD, RECORD_FIELDS } from '../../api/index.ts';
import {
  AlreadyExists,
  type Client,
  ConfigMap,
  type Kind,
  type Log,
  messageOf,
  type ObjectKey,
  Secret,
} from '../../kube/index.ts';
import { generateIdentity, parseIdentity } from '../../overlay/index.ts';
import { managed } from '../labels.ts';
import { AUTHORITY_FILES, AUTHORITY_SECRET, type AuthorityNames, type AuthoritySecret, planAuthority } from './plan.ts';

/** The keys that the operator speaks with. Never logged, never in a status. */
export interface Authority {
  /** Peer id of the key that signs charters. */
  readonly peerId: string;
  /** Peer id of the operator on every overlay. */
  readonly overlayPeerId: string;
  /** Private keys in libp2p's protobuf form. */
  readonly authorityKey: Uint8Array;
  readonly overlayKey: Uint8Array;
}

export interface AuthorityKeeperInit {
  /** Fenced: it makes the keys, and only a leader may. */
  readonly client: Client;
  readonly namespace: string;
  readonly log: Log;
  /** Called when the keys came, changed or went. */
  readonly onChange: (authority: Authority | undefined) => void;
  /** Called with each new reason why there are none. */
  readonly onProblem: (reason: string, message: string) => void;
}

/**
 * Holds the authority key: reads it, makes it once, and says what is wrong. It is read again from time to time, so that a
 * restored Secret is found.
 */
export class AuthorityKeeper {
  readonly #init: AuthorityKeeperInit;
  #current: Authority | undefined;
  #problem: string | undefined;

  constructor(init: AuthorityKeeperInit) {
    this.#init = init;
  }

  get current(): Authority | undefined {
    return this.#current;
  }

  /** Why there is no usable key; for /readyz. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Looks at Secret and record, and (only where `mayMake`) makes what was never made.
   * @throws KubeError when the API server cannot be asked
   */
  async look(mayMake: boolean): Promise<Authority | undefined> {
    const { client, namespace } = this.#init;
    for (let round = 0; round < 4; round++) {
      const [secret, record] = await Promise.all([
        client.find(Secret, this.#key(AUTHORITY_SECRET)),
        client.find(ConfigMap, this.#key(AUTHORITY_RECORD)),
      ]);
      const read = readSecret(secret);
      const plan = planAuthority(namespace, read.secret, readRecord(record));
      switch (plan.do) {
        case 'use':
          this.#set(read.authority);
          return this.#current;
        case 'stop':
          this.#set(undefined);
          this.#complain(plan.reason, plan.message);
          return undefined;
        case 'make':
          if (!mayMake) return undefined;
          await this.#make();
          break;
        case 'record':
          if (!mayMake) return undefined;
          await this.#record(plan.names);
          break;
      }
    }
    return this.#current;
  }

  #key(name: string): ObjectKey {
    return { namespace: this.#init.namespace, name };
  }

  #set(authority: Authority | undefined): void {
    if (authority !== undefined) this.#problem = undefined;
    if (authority?.peerId === this.#current?.peerId && authority?.overlayPeerId === this.#current?.overlayPeerId)
      return;
    this.#current = authority;
    this.#init.onChange(authority);
  }

  #complain(reason: string, message: string): void {
    if (this.#problem === message) return;
    this.#problem = message;
    this.#init.log.error({ reason }, message);
    this.#init.onProblem(reason, message);
  }

  async #make(): Promise<void> {
    const [authority, overlay] = await Promise.all([generateIdentity(), generateIdentity()]);
    const data = {
      [AUTHORITY_FILES.authority]: Buffer.from(authority.key).toString('base64'),
      [AUTHORITY_FILES.overlay]: Buffer.from(overlay.key).toString('base64'),
    };
    const metadata = { ...this.#key(AUTHORITY_SECRET), labels: { ...managed } };
    await this.#create(Secret, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
    this.#init.log.info({ authority: authority.peerId }, 'made the authority key; back it up with `murmur key export`');
  }

  async #record(names: AuthorityNames): Promise<void> {
    const data = { [RECORD_FIELDS.authority]: names.authority, [RECORD_FIELDS.overlay]: names.overlay };
    const metadata = { ...this.#key(AUTHORITY_RECORD), labels: { ...managed } };
    await this.#create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  }

  async #create<T extends Secret | ConfigMap>(kind: Kind<T>, object: T): Promise<void> {
    try {
      await this.#init.client.create(kind, object);
    } catch (error) {
      // Somebody was faster: the next round reads what they made.
      if (!(error instanceof AlreadyExists)) throw error;
    }
  }
}

function readSecret(secret: Secret | undefined): { secret: AuthoritySecret; authority?: Authority } {
  if (secret === undefined) return { secret: { is: 'absent' } };
  const bytes = (file: string): Uint8Array => Buffer.from(secret.data?.[file] ?? '', 'base64');
  try {
    const authority = parseIdentity(bytes(AUTHORITY_FILES.authority));
    const overlay = parseIdentity(bytes(AUTHORITY_FILES.overlay));
    return {
      secret: { is: 'keys', names: { authority: authority.peerId, overlay: overlay.peerId } },
      authority: {
        peerId: authority.peerId,
        overlayPeerId: overlay.peerId,
        authorityKey: bytes(AUTHORITY_FILES.authority),
        overlayKey: bytes(AUTHORITY_FILES.overlay),
      },
    };
  } catch (error) {
    return { secret: { is: 'malformed', why: messageOf(error) } };
  }
}

function readRecord(record: ConfigMap | undefined): AuthorityNames | undefined {
  const authority = record?.data?.[RECORD_FIELDS.authority];
  const overlay = record?.data?.[RECORD_FIELDS.overlay];
  return authority === undefined ? undefined : { authority, overlay: overlay ?? '' };
}
