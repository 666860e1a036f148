import { z } from 'zod';
import { ageSchema, nameSchema, publicKeySchema, versionSchema } from './shapes.ts';

/** The signer's HTTP interface, spoken over a Unix socket: bodies of both sides. Version 1; paths begin with /v1. */
export const voteBodySchema = z
  .strictObject({ network: nameSchema, model: nameSchema, age: ageSchema, version: versionSchema })
  .readonly();
export type VoteBody = z.infer<typeof voteBodySchema>;

export const identityReplySchema = z.object({ publicKey: publicKeySchema });
/** 64 bytes as hex. */
export const voteReplySchema = z.object({ signature: z.string().regex(/^[0-9a-f]{128}$/) });

/**
 * Why the signer did not sign. `DoubleVote` (409) is for ever; `NotReady` (503): its key cannot be used yet; `ProtectionTaken` (503):
 * another signer runs on its protection store; `ProtectionFailed` (503): the store's disk failed, and without it nothing is signed;
 * `BadRequest` (400).
 */
export const refusalReasons = ['DoubleVote', 'NotReady', 'ProtectionTaken', 'ProtectionFailed', 'BadRequest'] as const;
export type SignerRefusal = (typeof refusalReasons)[number];
export const refusalSchema = z.object({ reason: z.enum(refusalReasons), message: z.string() });

/** Largest body either side reads, bytes. */
export const MAX_BODY_BYTES = 4 * 1024;
