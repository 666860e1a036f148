/** Certificates that validators show, held against the charter. Pure. */
import { z } from 'zod';
import { Layers } from '../../api/index.ts';
import { type Charter, type CharterModel, currentMembers } from '../../overlay/index.ts';
import {
  type Certificate,
  certificateSchema,
  MAX_SIGNATURES,
  parseQuorum,
  verifyCertificate,
} from '../../trust/index.ts';
import { count, shownText } from '../pod/shapes.ts';

/** A certificate in JSON, its signatures in hex. */
const certificateShape = z
  .looseObject({
    signatures: z
      .array(
        z.object({
          voter: z.string(),
          signature: z
            .string()
            .regex(/^[0-9a-f]{128}$/)
            .transform((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
        }),
      )
      .max(MAX_SIGNATURES),
  })
  .transform((shown, context): Certificate => {
    const parsed = certificateSchema.safeParse(shown);
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: z.prettifyError(parsed.error) });
    return z.NEVER;
  });

const finite = z.number();
/** Rows are that wide at most: a line of the largest data file. */
const columns = z.int().min(1).max(10_000_000);

const inputShape = z.object({
  columns,
  shape: z.array(columns).max(4).optional(),
  layers: Layers.optional(),
  scaling: z.union([
    z.object({ factor: finite, offset: z.undefined().optional() }),
    z.object({ factor: z.array(finite), offset: z.array(finite) }),
  ]),
});
export type InputClaim = z.output<typeof inputShape>;

/** What of `GET /v1/models/<name>/certificate` is used. Members and rules are the charter's to say. */
export const answerShape = z.object({
  certificate: certificateShape,
  input: inputShape.optional(),
  holders: z
    .array(
      z.object({
        name: shownText(253),
        chunks: count,
        ranges: z
          .array(z.tuple([count, count]))
          .max(64)
          .optional(),
      }),
    )
    .max(2000),
});
export type CertificateAnswer = z.output<typeof answerShape>;

/** What a certificate is held against. */
export interface Expected {
  readonly charter: Charter;
  readonly model: CharterModel;
  /** CID that was asked for; undefined: any. */
  readonly version: string | undefined;
  /** Unix seconds. */
  readonly now: number;
}

/** A validator of the charter, and whether it signed. */
export interface Signer {
  readonly name: string;
  readonly peerId: string;
  readonly stakeKey: string;
  readonly weight: number;
  readonly signed: boolean;
}

export type Checked =
  | { readonly certificate: Certificate; readonly signers: readonly Signer[] }
  /** Why it proves nothing. */
  | { readonly refusal: string };

/**
 * Whether enough of the charter's voting weight signed. A signature of somebody who is no validator any more counts for
 * nothing, as in a fleet that has shrunk since.
 */
export function check(shown: Certificate, { charter, model, version, now }: Expected): Checked {
  if (shown.network !== charter.network || shown.model !== model.uid) return { refusal: 'it is for another model' };
  if (version !== undefined && shown.version !== version) return { refusal: 'it is for another version' };
  const members = [...currentMembers(charter, now).values()].filter(({ role }) => role === 'validator');
  const keys = new Set(members.map(({ stakeKey }) => stakeKey));
  const certificate = { ...shown, signatures: shown.signatures.filter(({ voter }) => keys.has(voter)) };
  const { versions } = model.spec;
  const outcome = verifyCertificate(certificate, members, versions);
  const voters = new Set(certificate.signatures.map(({ voter }) => voter));
  const signers = members.map(({ name: node, peerId, stakeKey, weight }) => ({
    name: node,
    peerId,
    stakeKey,
    weight,
    signed: voters.has(stakeKey),
  }));
  if (outcome.ok) return { certificate, signers };
  if (outcome.why !== 'below-quorum') return { refusal: `its signatures are no good (${outcome.why})` };
  return {
    refusal:
      `validators with ${votesText(signers)} signed it, ` +
      `${versions.quorum} and at least ${versions.minimumVoters} of them are needed`,
  };
}

/** Votes that signed, of all that count, and what is needed: `4 of 4 votes, 2/3 needed`. */
export function signedText(signers: readonly Signer[], quorum: string): string {
  const { numerator, denominator } = parseQuorum(quorum);
  return `${votesText(signers)}, ${numerator}/${denominator} needed`;
}

function votesText(signers: readonly Signer[]): string {
  const votes = (some: readonly Signer[]): number => some.reduce((sum, { weight }) => sum + weight, 0);
  return `${votes(signers.filter(({ signed }) => signed))} of ${votes(signers)} votes`;
}

/** How rows are scaled, and whose word that is. */
export interface Input {
  readonly input: InputClaim;
  /** `charter`: the scale is signed with the model's spec. `validators`: so many of those asked say so; nobody signed it. */
  readonly from: 'charter' | 'validators';
  readonly agreed: number;
  readonly asked: number;
}

/**
 * How rows are scaled before the first layer: it is no part of a version. Where the spec has a scale, that counts;
 * else what more than half of the validators that know it say.
 */
export function inputOf(claims: readonly InputClaim[], { spec }: CharterModel): Input | { readonly refusal: string } {
  if (claims.length === 0) {
    return { refusal: 'no validator has the model loaded, so nobody knows how its input is scaled' };
  }
  const groups = Map.groupBy(claims.filter(isWhole), (claim) => JSON.stringify(claim));
  const [most] = [...groups.values()].sort((a, b) => b.length - a.length);
  const input = most?.[0];
  if (most === undefined || input === undefined || most.length * 2 <= claims.length) {
    return { refusal: 'validators do not agree on how the input of the model is scaled' };
  }
  const counted = { agreed: most.length, asked: claims.length };
  const { scale } = spec.data;
  if (scale === undefined) return { input, from: 'validators', ...counted };
  const signed: InputClaim = { ...input, scaling: { factor: Math.fround(1 / Number(scale)) } };
  return { input: signed, from: 'charter', ...counted };
}

const isWhole = ({ columns: wide, shape, scaling }: InputClaim): boolean =>
  (shape === undefined || shape.reduce((product, side) => product * side, 1) === wide) &&
  (scaling.offset === undefined || (scaling.offset.length === wide && scaling.factor.length === wide));
