import { AUTHORITY_RECORD } from '../../api/index.ts';

/** Name of the Secret with the authority key. */
export const AUTHORITY_SECRET = 'murmuration-authority';
/** Keys of the Secret's data: what signs charters, and the operator's own identity as a peer. */
export const AUTHORITY_FILES = { authority: 'authority.key', overlay: 'overlay.key' } as const;

/** The two public names. */
export interface AuthorityNames {
  readonly authority: string;
  readonly overlay: string;
}

/** What is known of the Secret, without its bytes. */
export type AuthoritySecret =
  | { readonly is: 'absent' }
  | { readonly is: 'keys'; readonly names: AuthorityNames }
  | { readonly is: 'malformed'; readonly why: string };

/** What to do about the authority key. */
export type AuthorityPlan =
  | { readonly do: 'make' }
  | { readonly do: 'record'; readonly names: AuthorityNames }
  | { readonly do: 'use'; readonly names: AuthorityNames }
  | { readonly do: 'stop'; readonly reason: 'KeyMissing' | 'KeyMalformed'; readonly message: string };

/**
 * Made once; never made again where one was recorded, because every validator obeys the first one for ever.
 * @param recorded what the ConfigMap says, if there is one
 */
export function planAuthority(
  namespace: string,
  secret: AuthoritySecret,
  recorded: AuthorityNames | undefined,
): AuthorityPlan {
  const where = `Secret ${namespace}/${AUTHORITY_SECRET}`;
  const restore = `Restore it from the backup that \`murmur key export\` made`;
  const anew =
    `or, to begin anew with validators that do not know it yet, ` +
    `delete ConfigMap ${namespace}/${AUTHORITY_RECORD} and every ValidatorNode`;
  if (secret.is === 'absent') {
    if (recorded === undefined) return { do: 'make' };
    const message = `${where} with the authority key ${recorded.authority} is gone. ${restore}, ${anew}.`;
    return { do: 'stop', reason: 'KeyMissing', message };
  }
  if (secret.is === 'malformed') {
    return { do: 'stop', reason: 'KeyMalformed', message: `${where} cannot be used: ${secret.why}. ${restore}.` };
  }
  if (recorded === undefined) return { do: 'record', names: secret.names };
  if (recorded.authority !== secret.names.authority) {
    const message =
      `${where} holds another authority key (${secret.names.authority}) than the one in use (${recorded.authority}). ` +
      `${restore}, ${anew}.`;
    return { do: 'stop', reason: 'KeyMalformed', message };
  }
  return { do: 'use', names: secret.names };
}
