import { isTrue, NODE_CONDITIONS } from '../../api/index.ts';
import type { Stores } from '../../kube/index.ts';
import type { ValidatorNode } from '../kinds.ts';
import type { Heard } from '../network/heard.ts';
import type { Parts } from '../parts.ts';
import { look } from '../watched.ts';

/** A validator that was silent for so long holds nothing that counts; repair begins. ms */
export const LOST_MS = 120_000;
/** A new validator may take so long until it is first heard. ms */
const NEW_MS = 300_000;

/**
 * Whether a validator may be given shards: it stays, it has an identity, and it is not lost.
 * @param listening silence of the network means something
 */
export function isCandidate(node: ValidatorNode, heard: Heard | undefined, listening: boolean, now: number): boolean {
  if (node.metadata.deletionTimestamp !== undefined || node.spec.cordon) return false;
  if (node.status?.peerId === undefined || !isTrue(node, NODE_CONDITIONS.KeysReady)) return false;
  if (!listening) return true;
  if (heard !== undefined) return now - heard.at < LOST_MS;
  return now - Date.parse(node.metadata.creationTimestamp ?? '') < NEW_MS;
}

/** Names of the validators of a network that may be given shards. */
export function candidatesOf(stores: Stores, parts: Parts, namespace: string, network: string): readonly string[] {
  const overlay = `${namespace}/${network}`;
  const listening = parts.view.isListening(overlay);
  const now = parts.now();
  return look
    .nodesOf(stores, namespace, network)
    .filter((node) => isCandidate(node, parts.view.heard(overlay, node.metadata.name), listening, now))
    .map(({ metadata }) => metadata.name);
}
