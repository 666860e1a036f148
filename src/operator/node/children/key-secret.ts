import type { Secret } from '../../../kube/index.ts';
import type { KeyKind } from '../../action.ts';
import type { ValidatorNode } from '../../kinds.ts';
import { names, validatorLabels } from '../../labels.ts';

/** Key of the Secret's data that holds the bytes. */
export const KEY_FILE: Readonly<Record<KeyKind, string>> = { identity: 'identity.key', stake: 'stake.key' };

/** Name of the Secret that holds a validator's key: the spec's, or our own. */
export function keySecretName(node: ValidatorNode, which: KeyKind): string {
  const ref = which === 'identity' ? node.spec.identity.secretRef : node.spec.stake.keySecretRef;
  return ref?.name ?? names[which](node.metadata.name);
}

/** Whether a person brought the key, so that the operator neither makes nor deletes the Secret. */
export function isBroughtKey(node: ValidatorNode, which: KeyKind): boolean {
  return (which === 'identity' ? node.spec.identity.secretRef : node.spec.stake.keySecretRef) !== undefined;
}

/**
 * The Secret for a key that is made now, without its bytes. It has no owner reference: a key goes only where the
 * finalizer deletes it on purpose.
 */
export function buildKeySecret(node: ValidatorNode, which: KeyKind): Secret {
  const { name, namespace } = node.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: names[which](name),
      ...(namespace === undefined ? {} : { namespace }),
      labels: validatorLabels(node),
    },
    type: 'Opaque',
  };
}
