import { LABELS, reservationName } from '../../api/index.ts';
import {
  type Existing,
  messageOf,
  Node,
  PersistentVolumeClaim,
  Pod,
  type ReconcileContext,
  Secret,
  Service,
} from '../../kube/index.ts';
import { parseIdentity } from '../../overlay/index.ts';
import { parseStakeKey, publicKeyOf } from '../../trust/index.ts';
import type { KeyKind } from '../action.ts';
import { StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import { names } from '../labels.ts';
import type { Parts } from '../parts.ts';
import type { Refusal } from '../refusal.ts';
import { look } from '../watched.ts';
import { isBroughtKey, KEY_FILE, keySecretName } from './children/key-secret.ts';
import type { KeySecret } from './keys.ts';
import type { NodeWorld } from './world.ts';

/** Reads all that is known of one validator; undefined where it is gone. */
export async function observeNode(
  context: ReconcileContext,
  parts: Parts,
  refused: readonly Refusal[],
): Promise<NodeWorld | undefined> {
  const { stores, key } = context;
  const node = stores.of(ValidatorNode).get(key);
  if (node === undefined) return undefined;
  const { namespace, name } = key;
  const network = `${namespace}/${node.spec.network}`;
  const [identity, stake] = await Promise.all([readKey(context, node, 'identity'), readKey(context, node, 'stake')]);
  const publicKey = stake.is === 'key' ? stake.name : node.status?.stake?.publicKey;
  const pod = stores.of(Pod).get(key);
  const machine = pod?.spec?.nodeName;
  return {
    node,
    now: parts.now(),
    namespaceTerminating: look.isTerminating(stores, namespace),
    identity,
    stake,
    twin: identity.is === 'key' ? twinOf(context, node, identity.name) : undefined,
    reservation:
      publicKey === undefined
        ? undefined
        : stores.of(StakeKeyReservation).get({ namespace: '', name: reservationName(publicKey) }),
    volume: stores.of(PersistentVolumeClaim).get({ namespace, name: names.volume(name) }),
    service: stores.of(Service).get(key),
    pod,
    machine: machine === undefined ? undefined : stores.of(Node).get({ namespace: '', name: machine }),
    setting: parts.settings.of(stores, namespace, node.spec.network),
    chartered: node.status?.peerId !== undefined && parts.charters.names(network, node.status.peerId),
    holding: look.heldBy(stores, namespace, name),
    others: look.nodeCount(stores, namespace, node.spec.network) - 1,
    heard: parts.view.heard(network, name),
    listening: parts.view.isListening(network),
    refused,
  };
}

/** A ValidatorNode that had this identity first: two peers of one id would cut each other off. */
function twinOf({ stores, key }: ReconcileContext, node: ValidatorNode, peerId: string): string | undefined {
  const others = stores
    .of(ValidatorNode)
    .byIndex('peerId', `${key.namespace}/${peerId}`)
    .filter(({ metadata }) => metadata.uid !== node.metadata.uid);
  const isRecorded = node.status?.peerId === peerId;
  const age = ({ metadata }: ValidatorNode): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  return others.find((other) => !isRecorded || age(other) < age(node))?.metadata.name;
}

/** The public name is worked out once per version of a Secret. */
const remembered = new WeakMap<Secret, KeySecret>();

async function readKey(context: ReconcileContext, node: ValidatorNode, which: KeyKind): Promise<KeySecret> {
  const key = { namespace: context.key.namespace, name: keySecretName(node, which) };
  // What a person brought has no label of ours and so is in no store; it is read when it is needed.
  const secret = isBroughtKey(node, which)
    ? await context.client.find(Secret, key)
    : context.stores.of(Secret).get(key);
  if (secret === undefined) return { is: 'absent' };
  const known = remembered.get(secret);
  if (known !== undefined) return known;
  const read = keyIn(secret, which);
  remembered.set(secret, read);
  return read;
}

/** What the Secret holds, without the key itself. */
function keyIn(secret: Existing<Secret>, which: KeyKind): KeySecret {
  const { uid } = secret.metadata;
  const node = secret.metadata.labels?.[LABELS.node];
  const text = secret.data?.[KEY_FILE[which]];
  if (text === undefined) return { is: 'malformed', why: `there is no key ${KEY_FILE[which]} in it`, uid, node };
  const bytes = Buffer.from(text, 'base64');
  try {
    const name = which === 'identity' ? parseIdentity(bytes).peerId : publicKeyOf(parseStakeKey(bytes, 'the Secret'));
    return { is: 'key', name, uid, node };
  } catch (error) {
    const why = error instanceof Error && 'reason' in error ? String(error.reason) : messageOf(error);
    return { is: 'malformed', why, uid, node };
  }
}
