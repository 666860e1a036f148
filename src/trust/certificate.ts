import { z } from 'zod';
import { decodeChecked, encode } from '../codec/index.ts';
import { type QuorumRules, reaches, type VotingMember } from './quorum.ts';
import { ageSchema, nameSchema, publicKeySchema, signatureSchema, versionSchema } from './shapes.ts';
import { type SignedVote, type Vote, verifyVote } from './vote.ts';

/** Most signatures of a certificate: what fits a gossip message. The heaviest are taken. */
export const MAX_SIGNATURES = 96;
export const MAX_CERTIFICATE_BYTES = 16 * 1024;

export const certificateSchema = z
  .strictObject({
    v: z.literal(1),
    network: nameSchema,
    model: nameSchema,
    age: ageSchema,
    version: versionSchema,
    /** The charter whose members voted. */
    charterSeq: z.number().int().nonnegative(),
    signatures: z
      .array(z.strictObject({ voter: publicKeySchema, signature: signatureSchema }).readonly())
      .min(1)
      .max(MAX_SIGNATURES)
      .readonly(),
  })
  .readonly();

/** Proof that enough of the voting weight signed one version. Self-contained but for the members it is held against. */
export type Certificate = z.infer<typeof certificateSchema>;

export type CertificateCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: 'not-a-member' | 'repeated-voter' | 'bad-signature' | 'below-quorum' };

/** Make a certificate of votes for one version, if they are enough. Votes of others, repeated or with bad signatures are left out. */
export function certify(
  votes: readonly SignedVote[],
  members: readonly VotingMember[],
  rules: QuorumRules,
  charterSeq: number,
): Certificate | undefined {
  const first = votes[0]?.vote;
  if (first === undefined) return undefined;
  const weights = new Map(members.map(({ stakeKey, weight }) => [stakeKey, weight]));
  const counted = new Map<string, SignedVote>();
  for (const signed of votes) {
    const { vote } = signed;
    if (weights.has(vote.voter) && sameVersion(vote, first)) counted.set(vote.voter, signed);
  }
  if (!reaches(new Set(counted.keys()), members, rules)) return undefined;
  for (const [voter, signed] of counted) if (!verifyVote(signed)) counted.delete(voter);
  const heaviest = [...counted.values()]
    .sort(
      (a, b) =>
        (weights.get(b.vote.voter) ?? 0) - (weights.get(a.vote.voter) ?? 0) || (a.vote.voter < b.vote.voter ? -1 : 1),
    )
    .slice(0, MAX_SIGNATURES);
  if (!reaches(new Set(heaviest.map(({ vote }) => vote.voter)), members, rules)) return undefined;
  const { network, model, age, version } = first;
  return {
    v: 1,
    network,
    model,
    age,
    version,
    charterSeq,
    signatures: heaviest.map(({ vote, signature }) => ({ voter: vote.voter, signature })),
  };
}

/** Hold a certificate against members and rules. Every signature must be good: one that is not makes it worthless. */
export function verifyCertificate(
  certificate: Certificate,
  members: readonly VotingMember[],
  rules: QuorumRules,
): CertificateCheck {
  const keys = new Set(members.map(({ stakeKey }) => stakeKey));
  const voters = new Set(certificate.signatures.map(({ voter }) => voter));
  if (voters.size !== certificate.signatures.length) return { ok: false, why: 'repeated-voter' };
  if ([...voters].some((voter) => !keys.has(voter))) return { ok: false, why: 'not-a-member' };
  if (!reaches(voters, members, rules)) return { ok: false, why: 'below-quorum' };
  if (!votesOf(certificate).every(verifyVote)) return { ok: false, why: 'bad-signature' };
  return { ok: true };
}

/** The votes a certificate is made of. */
export function votesOf(certificate: Certificate): readonly SignedVote[] {
  const { network, model, age, version } = certificate;
  return certificate.signatures.map(({ voter, signature }) => ({
    vote: { v: 1, network, model, age, version, voter },
    signature,
  }));
}

/** A certificate as JSON has it: signatures in hex. */
export type ShownCertificate = Omit<Certificate, 'signatures'> & {
  readonly signatures: readonly { readonly voter: string; readonly signature: string }[];
};

export function showCertificate(certificate: Certificate): ShownCertificate {
  const signatures = certificate.signatures.map(({ voter, signature }) => ({
    voter,
    signature: Buffer.from(signature).toString('hex'),
  }));
  return { ...certificate, signatures };
}

export function encodeCertificate(certificate: Certificate): Uint8Array {
  return encode(certificate);
}

/** Throws MalformedError. The signatures are not yet checked: {@link verifyCertificate} does that. */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  return decodeChecked(bytes, certificateSchema, { what: 'a certificate', maxBytes: MAX_CERTIFICATE_BYTES });
}

function sameVersion(a: Vote, b: Vote): boolean {
  return a.network === b.network && a.model === b.model && a.age === b.age && a.version === b.version;
}
