import type { Logger } from 'pino';
import type { Snapshot } from '../learning/index.ts';
import type { CharterModel, Overlay } from '../overlay/index.ts';
import { type Certificate, type CertifyingMember, decodeCertificate, verifyCertificate } from '../trust/index.ts';
import { decodeLatestReply, encodeLatest, MAX_CERTIFICATE_BYTES, VERSIONS_PROTOCOL } from './wire.ts';

/** How long a validator that starts waits for a neighbour before it asks for the newest certified version. */
const PATIENCE_MILLISECONDS = 8_000;
const POLL_MILLISECONDS = 200;
/** How long the newest version may take to come. */
const FETCH_MILLISECONDS = 30_000;

export interface CatchUpParts {
  readonly overlay: Pick<Overlay, 'peerId' | 'request'>;
  /** The newest certificate of a model that is known here. */
  readonly latest: (uid: string) => Certificate | undefined;
  /** A newer one was heard of and verified. */
  readonly onNewer: (certificate: Certificate) => void;
  readonly validators: () => readonly CertifyingMember[];
  readonly peers: () => readonly string[];
  /** Fetches a version and puts it together. */
  readonly open: (certificate: Certificate, signal: AbortSignal) => Promise<Snapshot>;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
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
  await someNeighbour(parts, signal);
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

async function someNeighbour({ validators, overlay, peers, sleep }: CatchUpParts, signal: AbortSignal): Promise<void> {
  const isAlone = validators().every(({ peerId }) => peerId === overlay.peerId);
  for (let waited = 0; !isAlone && peers().length === 0 && waited < PATIENCE_MILLISECONDS; waited += POLL_MILLISECONDS)
    await sleep(POLL_MILLISECONDS, signal);
}

/** The newest certificate that neighbours or this validator know; verified. */
async function newest(model: CharterModel, parts: CatchUpParts, signal: AbortSignal): Promise<Certificate | undefined> {
  const { overlay, peers, validators, latest, onNewer, log } = parts;
  const answers = peers().map(async (peer) => {
    const reply = await overlay.request(peer, VERSIONS_PROTOCOL, encodeLatest(model.uid), {
      timeoutMs: 3_000,
      maxReplyBytes: MAX_CERTIFICATE_BYTES + 1024,
      signal,
    });
    const { certificate } = decodeLatestReply(reply);
    return certificate && decodeCertificate(certificate);
  });
  let best = latest(model.uid);
  for (const answer of await Promise.allSettled(answers)) {
    if (answer.status === 'rejected') {
      log.debug({ err: answer.reason }, 'a neighbour did not tell its newest version');
      continue;
    }
    const certificate = answer.value;
    if (certificate === undefined || certificate.model !== model.uid || certificate.age <= (best?.age ?? 0)) continue;
    if (verifyCertificate(certificate, validators(), model.spec.versions).ok) best = certificate;
  }
  if (best !== undefined && best !== latest(model.uid)) onNewer(best);
  return best;
}
