import type { PartitionSlot } from '../learning/index.ts';
import { type Charter, currentMembers, type Member } from '../overlay/index.ts';

/** The validators of a charter in force, in the order of their names with numbers counted as numbers. */
export function validatorsOf(charter: Charter | undefined, nowSeconds: number): readonly Member[] {
  if (charter === undefined) return [];
  return [...currentMembers(charter, nowSeconds).values()]
    .filter(({ role }) => role === 'validator')
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Which part of a shared data set is this validator's: its rank among the validators. Alone, or no member: all of it. */
export function slotOf(validators: readonly Member[], peerId: string): PartitionSlot {
  const index = validators.findIndex((member) => member.peerId === peerId);
  return index === -1 ? { index: 0, of: 1 } : { index, of: validators.length };
}
