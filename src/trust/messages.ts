import { z } from 'zod';
import { decodeChecked, encode } from '../codec/index.ts';
import { certificateSchema } from './certificate.ts';
import { ageSchema, nameSchema, versionSchema } from './shapes.ts';
import { signedVoteSchema } from './vote.ts';

/** The gossip topic of proposals, votes and certificates. */
export const VOTES_TOPIC = 'votes';
export const MAX_VOTES_MESSAGE_BYTES = 16 * 1024;

const proposalSchema = z
  .strictObject({
    network: nameSchema,
    model: nameSchema,
    /** The height. */
    age: ageSchema,
    /** CID of the manifest, as text. */
    version: versionSchema,
    /** Peer id of who proposes; must be the author of the gossip message. */
    proposer: z.string().min(1).max(128),
  })
  .readonly();

/** "Let this version be certified." Not signed by a stake key: the gossip message's own signature says who proposes. */
export type Proposal = z.infer<typeof proposalSchema>;

const messageSchema = z.discriminatedUnion('kind', [
  z.strictObject({ v: z.literal(1), kind: z.literal('proposal'), proposal: proposalSchema }).readonly(),
  z.strictObject({ v: z.literal(1), kind: z.literal('vote'), signed: signedVoteSchema }).readonly(),
  z.strictObject({ v: z.literal(1), kind: z.literal('certificate'), certificate: certificateSchema }).readonly(),
]);

/** Everything that travels on the topic `votes`. */
export type VotesMessage = z.infer<typeof messageSchema>;

export function encodeVotesMessage(message: VotesMessage): Uint8Array {
  return encode(message);
}

/** Throws MalformedError. */
export function decodeVotesMessage(bytes: Uint8Array): VotesMessage {
  return decodeChecked(bytes, messageSchema, { what: 'a votes message', maxBytes: MAX_VOTES_MESSAGE_BYTES });
}
