import type { Logger } from 'pino';
import type { Snapshot } from '../learning/index.ts';
import type { CharterModel, Overlay } from '../overlay/index.ts';
import {
  type Certificate,
  type CertifyingMember,
  decodeCertificate,
  type QuorumRules,
  verifyCertificate,
} from '../trust/index.ts';
import { decodeLatestReply, encodeLatest, MAX_CERTIFICATE_BYTES, VERSIONS_PROTOCOL } from './wire.ts';

/** How long a validator that starts looks for somebody who knows a certified version. */
const PATIENCE_MILLISECONDS = 8_000;
const POLL_MILLISECONDS = 200;
/** How long the newest version may take to come. */
const FETCH_MILLISECONDS = 30_000;

export interface CatchUpParts {
  readonly overlay: Pick<Overlay, 'peerId' | 'request'>;
  /** The newest certificate of a model that is known here. */
  readonly latest: (uid: string) => Certificate | undefined;
  /** A newer one was heard of that weights may be begun with; whether it counts as certified is the certifier's to say. */
  readonly onNewer: (certificate: Certificate) => void;
  readonly validators: () => readonly CertifyingMember[];
  readonly peers: () => readonly string[];
  /** Fetches a version and puts it together. */
  readonly open: (certificate: Certificate, signal: AbortSignal) => Promise<Snapshot>;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  readonly log: Logger;
}

/**
 * The newest certified version whose age is above `age`, put together from its chunks; undefined where neighbours know
 * none, or it is not to be had. A validator that is alone in its network is not kept waiting.
 */
export async function catchUp(
  model: CharterModel,
  age: number,
  parts: CatchUpParts,
  signal: AbortSignal,
): Promise<Snapshot | undefined> {
  const certificate = await newest(model, parts, signal);
  if (certificate === undefined || certificate.age <= age) return undefined;
  try {
    return await parts.open(certificate, AbortSignal.any([signal, AbortSignal.timeout(FETCH_MILLISECONDS)]));
  } catch (error) {
    if (signal.aborted) throw error;
    parts.log.warn(
      { err: error, version: certificate.version },
      'could not catch up from the certified version; learns from neighbours instead',
    );
    return undefined;
  }
}

/**
 * The newest certificate that can be trusted. Asks until somebody knows one that is newer than ours, or more than half of the
 * others know none (what is certified is known to two thirds), or patience ends: the first neighbours of a newcomer
 * may be newcomers too.
 */
async function newest(model: CharterModel, parts: CatchUpParts, signal: AbortSignal): Promise<Certificate | undefined> {
  const { overlay, peers, validators, latest, onNewer, sleep, monotonic } = parts;
  const end = monotonic() + PATIENCE_MILLISECONDS;
  const answered = new Set<string>();
  for (;;) {
    const others = validators().filter(({ peerId }) => peerId !== overlay.peerId).length;
    const asked = peers().filter((peer) => !answered.has(peer));
    const known = latest(model.uid);
    let best = known;
    for (const answer of await Promise.all(asked.map((peer) => ask(peer, model, parts, signal)))) {
      if (answer === undefined) continue;
      answered.add(answer.peer);
      const { certificate } = answer;
      if (certificate === undefined || certificate.model !== model.uid || certificate.age <= (best?.age ?? 0)) continue;
      if (isTrusted(certificate, validators(), model.spec.versions)) best = certificate;
    }
    if (best !== undefined && best !== known) {
      onNewer(best);
      return best;
    }
    if (others === 0 || answered.size * 2 > others || monotonic() >= end) return best;
    await sleep(POLL_MILLISECONDS, signal);
  }
}

/**
 * Whether weights may be begun with: the quorum signed, or, after the fleet has grown, so many that more than a third
 * of the weight of now did. Then an honest validator has judged them, as long as less than a third are not.
 */
function isTrusted(certificate: Certificate, members: readonly CertifyingMember[], rules: QuorumRules): boolean {
  if (verifyCertificate(certificate, members, rules).ok) return true;
  const voters = new Set(certificate.signatures.map(({ voter }) => voter));
  const signers = members.filter(({ stakeKey }) => voters.has(stakeKey));
  const weightOf = (some: readonly CertifyingMember[]) => some.reduce((sum, { weight }) => sum + weight, 0);
  return (
    weightOf(signers) * 3 > weightOf(members) && verifyCertificate(certificate, signers, { ...rules, quorum: '1/1' }).ok
  );
}

/** What a neighbour knows; undefined where it does not answer, and may be asked again. */
async function ask(
  peer: string,
  model: CharterModel,
  { overlay, log }: CatchUpParts,
  signal: AbortSignal,
): Promise<{ readonly peer: string; readonly certificate: Certificate | undefined } | undefined> {
  try {
    const reply = await overlay.request(peer, VERSIONS_PROTOCOL, encodeLatest(model.uid), {
      timeoutMs: 3_000,
      maxReplyBytes: MAX_CERTIFICATE_BYTES + 1024,
      signal,
    });
    const { certificate } = decodeLatestReply(reply);
    return { peer, certificate: certificate && decodeCertificate(certificate) };
  } catch (error) {
    log.debug({ err: error, peer }, 'a neighbour did not tell its newest version');
    return undefined;
  }
}
