import { createHash } from 'node:crypto';
import { z } from 'zod';
import { encode } from '../codec/index.ts';
import { ageSchema, nameSchema, publicKeySchema, signatureSchema, versionSchema } from './shapes.ts';
import { verifySignature } from './stake-key.ts';

export const voteSchema = z
  .strictObject({
    v: z.literal(1),
    network: nameSchema,
    /** uid of the Model. */
    model: nameSchema,
    /** The height: a multiple of the model's `everyAge`. */
    age: ageSchema,
    /** CID of the manifest, as text. */
    version: versionSchema,
    /** Stake public key. */
    voter: publicKeySchema,
  })
  .readonly();

/** "This version, and no other, for this model at this age." */
export type Vote = z.infer<typeof voteSchema>;

export const signedVoteSchema = z.strictObject({ vote: voteSchema, signature: signatureSchema }).readonly();
export type SignedVote = z.infer<typeof signedVoteSchema>;

const DOMAIN = Buffer.from('murmuration/vote/1\0');

/** What is signed: sha256("murmuration/vote/1\0" || DAG-CBOR of the vote). */
export function voteDigest(vote: Vote): Uint8Array {
  const { v, network, model, age, version, voter } = vote;
  return createHash('sha256').update(DOMAIN).update(encode({ v, network, model, age, version, voter })).digest();
}

/** Whether the signature is the voter's. */
export function verifyVote({ vote, signature }: SignedVote): boolean {
  return verifySignature(voteDigest(vote), signature, vote.voter);
}
