import { hkdfSync } from 'node:crypto';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { peerIdFromString } from '@libp2p/peer-id';
import { parseIdentity } from '../overlay/index.ts';
import { UserError } from './errors.ts';
import { SEAL_KEY_BYTES, type Sealed, type UserOffer } from './protocol.ts';

/** HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. */
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

const text = new TextEncoder();
const keyDomain = 'murmuration/seal-key/1\0';
const boxDomain = 'murmuration/user-data/1\0';

/** Who may open a box, and what it is for. A box that is opened for anything else does not open. */
export interface BoxFor {
  /** `namespace/network`. */
  readonly network: string;
  /** uid of the Model. */
  readonly model: string;
  /** Peer id of the validator. */
  readonly validator: string;
  /** Peer id of the user: nobody passes another's box off as its own. */
  readonly user: string;
}

/** A validator's side: what it opens boxes with, and what it shows to users. */
export interface Opener {
  readonly sealKey: Uint8Array;
  /** The identity key's, over network and seal key. */
  readonly signature: Uint8Array;
  /** @throws UserError `seal` */
  open(box: Sealed, from: BoxFor): Promise<Uint8Array>;
}

/**
 * The seal key of an identity: derived, so that there is one secret to keep and a box on the volume opens after a restart, but
 * not without the identity, which is not on the volume.
 * @param identity private key in libp2p protobuf form
 * @throws MalformedKeyError
 */
export async function openerOf(identity: Uint8Array, network: string): Promise<Opener> {
  const { privateKey } = parseIdentity(identity);
  const secret = hkdfSync('sha256', privateKey.raw.subarray(0, 32), new Uint8Array(), text.encode(keyDomain), 32);
  const { privateKey: opens, publicKey } = await suite.kem.deriveKeyPair(secret);
  const sealKey = new Uint8Array(await suite.kem.serializePublicKey(publicKey));
  const signature = new Uint8Array(await privateKey.sign(signedBytes(network, sealKey)));
  return {
    sealKey,
    signature,
    open: async ({ enc, ct }, from) => {
      try {
        const parameters = { recipientKey: opens, enc: own(enc), info: infoOf(from) };
        return new Uint8Array(await suite.open(parameters, own(ct), text.encode(from.user)));
      } catch (cause) {
        throw new UserError('seal', 'The sealed box does not open here: it is for somebody else, or was changed.', {
          cause,
        });
      }
    },
  };
}

/**
 * Seals bytes so that the validator of the offer, and nobody else, can open them.
 * @throws UserError `offer` when the seal key is not signed by that validator
 */
export async function seal(
  bytes: Uint8Array,
  offer: Pick<UserOffer, 'sealKey' | 'signature'>,
  to: BoxFor,
): Promise<Sealed> {
  const signer = peerIdFromString(to.validator).publicKey;
  const isSigned = await signer?.verify(signedBytes(to.network, offer.sealKey), offer.signature);
  if (isSigned !== true) throw new UserError('offer', `The seal key that ${to.validator} shows is not signed by it.`);
  const recipientPublicKey = await suite.kem.deserializePublicKey(own(offer.sealKey));
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoOf(to) }, own(bytes), text.encode(to.user));
  return { enc: new Uint8Array(enc), ct: new Uint8Array(ct) };
}

const infoOf = ({ network, model, validator }: BoxFor): Uint8Array<ArrayBuffer> =>
  text.encode(`${boxDomain}${network}\0${model}\0${validator}`);

function signedBytes(network: string, sealKey: Uint8Array): Uint8Array {
  const before = text.encode(`${keyDomain}${network}\0`);
  const bytes = new Uint8Array(before.byteLength + SEAL_KEY_BYTES);
  bytes.set(before);
  bytes.set(sealKey, before.byteLength);
  return bytes;
}

/** Bytes in a buffer of their own, which is what WebCrypto takes whatever it was a view of. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
