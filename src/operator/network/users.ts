import { z } from 'zod';
import { USER_ENTRY_FIELDS } from '../../api/index.ts';
import type { ConfigMap } from '../../kube/index.ts';
import type { Member } from '../../overlay/index.ts';
import { peerIdText } from '../../overlay/shapes.ts';

/** Users of one network: they may not crowd out validators, and a charter has an end. */
export const MAX_USERS = 256;

const entry = z.object({
  [USER_ENTRY_FIELDS.peerId]: peerIdText,
  [USER_ENTRY_FIELDS.name]: z.string().regex(/^[A-Za-z0-9]([-._@A-Za-z0-9]{0,61}[A-Za-z0-9])?$/),
  [USER_ENTRY_FIELDS.notAfter]: z.iso.datetime({ offset: true }),
});

/** A membership that was asked for, in unix seconds. */
function membershipOf({
  data,
}: ConfigMap): { readonly peerId: string; readonly name: string; readonly notAfter: number } | undefined {
  const parsed = entry.safeParse(data ?? {});
  if (!parsed.success) return undefined;
  const { peerId, name, notAfter } = parsed.data;
  return { peerId, name, notAfter: Math.floor(Date.parse(notAfter) / 1000) };
}

/**
 * The users to let in: those whose time is not over, the entries that were made first. What is no entry is passed over, and so is
 * who is a member already.
 * @param nowSeconds unix seconds
 */
export function usersOf(
  entries: readonly ConfigMap[],
  taken: ReadonlySet<string>,
  nowSeconds: number,
  most = MAX_USERS,
): readonly Member[] {
  const users = new Map<string, Member>();
  for (const made of entries.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))) {
    if (users.size >= most) break;
    const membership = made.metadata.deletionTimestamp === undefined ? membershipOf(made) : undefined;
    if (membership === undefined || membership.notAfter <= nowSeconds) continue;
    if (taken.has(membership.peerId) || users.has(membership.peerId)) continue;
    users.set(membership.peerId, { ...membership, stakeKey: '', weight: 0, role: 'user', addresses: [] });
  }
  return [...users.values()].toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1));
}

const HOUR_MS = 3_600_000;

/** Milliseconds until the first membership of those ends; undefined where none does. At most an hour: to look for nothing is cheap. */
export function untilNextEnd(members: readonly Member[], nowMs: number): number | undefined {
  const ends = members.flatMap(({ role, notAfter }) => (role === 'user' ? notAfter * 1000 - nowMs : []));
  const next = Math.min(...ends.filter((left) => left > 0));
  return Number.isFinite(next) ? Math.min(next + 1000, HOUR_MS) : undefined;
}

const orderOf = ({ metadata }: ConfigMap): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
