import type { KeyKind } from '../action.ts';
import type { ValidatorNode } from '../kinds.ts';
import { isBroughtKey, KEY_FILE, keySecretName } from './children/key-secret.ts';

/** What is known of a key's Secret, without the key: its public name only ever leaves the reader. */
export type KeySecret =
  | { readonly is: 'absent' }
  /** `name`: peer id of an identity, public key in hex of a stake key. `node`: the ValidatorNode in its labels. */
  | { readonly is: 'key'; readonly name: string; readonly uid: string; readonly node: string | undefined }
  | { readonly is: 'malformed'; readonly why: string; readonly uid: string; readonly node: string | undefined };

/** Where a validator stands with one of its keys. */
export type KeyVerdict =
  | { readonly is: 'ready'; readonly name: string }
  /** To be made: none was ever recorded. */
  | { readonly is: 'toMake' }
  | {
      readonly is: 'wrong';
      readonly reason: 'KeyMissing' | 'KeyMalformed' | 'NameTaken';
      readonly message: string;
    };

const WORDS: Readonly<Record<KeyKind, string>> = { identity: 'identity key', stake: 'stake key' };

/**
 * A key is made only where none was recorded. Where one was recorded, only that very key will do: a Secret that is
 * gone, or holds another key, stops the validator until a person restores it.
 * @param recorded peer id or public key from the status
 */
export function judgeKey(
  node: ValidatorNode,
  which: KeyKind,
  secret: KeySecret,
  recorded: string | undefined,
): KeyVerdict {
  const what = WORDS[which];
  const name = keySecretName(node, which);
  const brought = isBroughtKey(node, which);
  if (secret.is === 'absent') {
    // A stake key that was brought is named by the spec, and what the spec names may be wrong.
    if (recorded !== undefined && !(brought && which === 'stake')) {
      return wrong(
        'KeyMissing',
        `Secret ${name} with the ${what} of ${recorded} is gone. A key is never made anew where one was in use: ` +
          `restore the Secret from its backup, or delete this ValidatorNode to start with new keys.`,
      );
    }
    if (!brought) return { is: 'toMake' };
    const field = which === 'identity' ? 'identity.secretRef' : 'stake.keySecretRef';
    return wrong(
      'KeyMissing',
      `Secret ${name}, named by spec.${field}, does not exist. Create it with key ${KEY_FILE[which]}, or correct the name.`,
    );
  }
  if (!brought && secret.node !== node.metadata.name) {
    return wrong(
      'NameTaken',
      `Secret ${name} exists and is not this validator's. Rename or delete it, or name this ValidatorNode otherwise.`,
    );
  }
  if (secret.is === 'malformed') {
    return wrong(
      'KeyMalformed',
      `Secret ${name} does not hold a usable ${what} under ${KEY_FILE[which]}: ${secret.why}. Restore the right bytes.`,
    );
  }
  // A key that a person brought can be exchanged by a person for stake; an identity is for life.
  const exchangeable = brought && which === 'stake';
  if (recorded !== undefined && recorded !== secret.name && !exchangeable) {
    return wrong(
      'KeyMalformed',
      `Secret ${name} holds another ${what} (${secret.name}) than the one in use (${recorded}). ` +
        `Restore the Secret from its backup, or delete this ValidatorNode to go on with the other key.`,
    );
  }
  return { is: 'ready', name: secret.name };
}

const wrong = (reason: 'KeyMissing' | 'KeyMalformed' | 'NameTaken', message: string): KeyVerdict => ({
  is: 'wrong',
  reason,
  message,
});
