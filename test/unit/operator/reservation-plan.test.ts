import { describe, expect, it } from 'vitest';
import type { ValidatorNode } from '../../../src/api/index.ts';
import { buildReservation } from '../../../src/operator/node/children/reservation.ts';
import { type HolderNow, planReservation } from '../../../src/operator/reservation/plan.ts';
import { nodeOf } from './cluster.ts';

const OLD = `02${'a'.repeat(64)}`;
const NEW = `02${'b'.repeat(64)}`;

/** A reservation that was taken with a key that a person brought in Secret old. */
const reservation = {
  ...buildReservation(nodeOf('solo', { stake: { keySecretRef: { name: 'old' } } }, { uid: 'u' }) as ValidatorNode, OLD),
} as Parameters<typeof planReservation>[0];

const plan = (holder: HolderNow): readonly unknown[] =>
  planReservation(reservation, holder, { namespace: '', name: 'x' }).map(({ do: what }) => what);
const signs = (publicKey: string, ...secrets: readonly string[]): HolderNow => ({
  nodeUid: 'u',
  podOwner: 'u',
  signsWith: { publicKey, secrets: new Set(secrets) },
});

describe('the reservation of a key that was exchanged', () => {
  it('is released once neither spec nor pod names its Secret', () => {
    expect(plan(signs(NEW, 'new'))).toEqual(['delete']);
  });
  it('is kept while a pod has the Secret mounted, or the spec has gone back to it', () => {
    expect(plan(signs(NEW, 'new', 'old'))).toEqual([]);
  });
  it('is kept where it is the recorded key, and where it was exchanged within its Secret', () => {
    expect(plan(signs(OLD, 'new'))).toEqual([]);
    expect(plan(signs(NEW, 'old'))).toEqual([]);
  });
  it('is kept where its holder is another, or its pod is still there', () => {
    expect(plan({ nodeUid: 'other', podOwner: 'u', signsWith: { publicKey: NEW, secrets: new Set() } })).toEqual([]);
    expect(plan({ nodeUid: undefined, podOwner: undefined })).toEqual(['delete']);
  });
});
