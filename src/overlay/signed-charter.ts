import type { PublicKey } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { z } from 'zod';
import { bytesUpTo, DAG_CBOR, decodeChecked, encode, encodeChecked, MalformedError, plain } from '../codec/index.ts';
import type { Charter } from './charter.ts';
import {
  encodedModels,
  membersShape,
  modelsShape,
  placementsShape,
  readableModels,
  rootShape,
} from './charter-shapes.ts';
import { parseIdentity } from './identity.ts';
import { maxCharterBytes } from './limits.ts';
import { wordsOf } from './words.ts';

/** A charter as it travels: a small signed root that names three blocks by CID, and the blocks. */
export interface SignedCharter {
  /** DAG-CBOR `{v: 1, network, seq, issuedAt, members: CID, models: CID, placements: CID}`. */
  readonly root: Uint8Array;
  /** ed25519 over `murmuration/charter/1\0` followed by `root`. */
  readonly signature: Uint8Array;
  /** DAG-CBOR blocks named in the root; equal blocks are carried once. */
  readonly blocks: readonly Uint8Array[];
}

/** Why a charter is not accepted. Stable: used in conditions and metrics. */
export type InvalidCharterReason = 'TooLarge' | 'Malformed' | 'WrongSignature' | 'WrongNetwork';

/** When thrown, a charter was not signed by the authority, is for another network, or is not well formed. */
export class InvalidCharterError extends Error {
  override readonly name = 'InvalidCharterError';
  readonly reason: InvalidCharterReason;

  constructor(reason: InvalidCharterReason, message: string) {
    super(`charter refused (${reason}): ${message}`);
    this.reason = reason;
  }
}

/** Keeps a charter's signature from being taken for a signature over anything else. */
const domain = new TextEncoder().encode('murmuration/charter/1\0');
const block = (what: string) => ({ what: `charter ${what}`, maxBytes: maxCharterBytes });
const file = { what: 'charter', maxBytes: maxCharterBytes } as const;
const maxRootBytes = 2048;

const fileShape = z.object({
  root: bytesUpTo(maxRootBytes),
  signature: bytesUpTo(64),
  blocks: z.array(bytesUpTo(maxCharterBytes)).max(3),
});

/**
 * Signs a charter with the authority key (libp2p protobuf form, see `generateIdentity`).
 * @throws MalformedKeyError when the key is none
 * @throws InvalidCharterError when a member, model or placement breaks the rules or the whole is too large
 */
export async function signCharter(charter: Charter, authorityKey: Uint8Array): Promise<SignedCharter> {
  const { privateKey } = parseIdentity(authorityKey);
  return refusing(async () => {
    const members = encodeChecked(charter.members, membersShape, block('members'));
    const models = encodeChecked(encodedModels(charter.models), modelsShape, block('models'));
    const placements = encodeChecked(charter.placements, placementsShape, block('placements'));
    const [membersCid, modelsCid, placementsCid] = await Promise.all([members, models, placements].map(cidOf));
    const root = encodeChecked(
      {
        v: 1,
        network: charter.network,
        seq: charter.seq,
        issuedAt: charter.issuedAt,
        members: membersCid,
        models: modelsCid,
        placements: placementsCid,
      },
      rootShape,
      { what: 'charter root', maxBytes: maxRootBytes },
    );
    const signature = plain(await privateKey.sign(signedBytes(root)));
    const signed = { root, signature, blocks: await distinct([members, models, placements]) };
    encodeSignedCharter(signed);
    return signed;
  });
}

/**
 * Verifies the signature, every block's CID, the shapes and the network.
 * @throws InvalidCharterError
 */
export async function openCharter(
  signed: SignedCharter,
  expected: { readonly authority: string; readonly network: string },
): Promise<Charter> {
  return refusing(async () => {
    const { root: rootBytes, signature, blocks } = fileShape.parse({ ...signed, blocks: [...signed.blocks] });
    if (!(await isSignedBy(authorityKeyOf(expected.authority), rootBytes, signature))) {
      throw new InvalidCharterError('WrongSignature', `it is not signed by the authority ${expected.authority}`);
    }
    const root = decodeChecked(rootBytes, rootShape, { what: 'charter root', maxBytes: maxRootBytes });
    if (root.network !== expected.network) {
      throw new InvalidCharterError('WrongNetwork', `it is for network ${root.network}, this is ${expected.network}`);
    }
    const byCid = new Map(await Promise.all(blocks.map(async (b) => [(await cidOf(b)).toString(), b] as const)));
    const blockOf = (what: 'members' | 'models' | 'placements'): Uint8Array => {
      const bytes = byCid.get(root[what].toString());
      if (bytes === undefined) throw new MalformedError('charter', `block ${root[what]} (${what}) is not there`);
      return bytes;
    };
    const { models, unreadable } = readableModels(decodeChecked(blockOf('models'), modelsShape, block('models')));
    return {
      network: root.network,
      seq: root.seq,
      issuedAt: root.issuedAt,
      members: decodeChecked(blockOf('members'), membersShape, block('members')),
      models,
      placements: decodeChecked(blockOf('placements'), placementsShape, block('placements')),
      unreadable,
    };
  });
}

/**
 * One file of at most `maxCharterBytes` (1 MiB less 16 KiB), fit for one ConfigMap.
 * @throws InvalidCharterError when it is larger
 */
export function encodeSignedCharter(signed: SignedCharter): Uint8Array {
  const { root, signature, blocks } = signed;
  const bytes = encode({ root, signature, blocks: [...blocks] });
  if (bytes.byteLength > maxCharterBytes) {
    throw new InvalidCharterError('TooLarge', `it has ${bytes.byteLength} bytes, ${maxCharterBytes} are allowed`);
  }
  return bytes;
}

/**
 * Takes the file apart; nothing in it is verified yet (see `openCharter`).
 * @throws InvalidCharterError when the bytes are too many or of another form
 */
export function decodeSignedCharter(bytes: Uint8Array): SignedCharter {
  if (bytes.byteLength > maxCharterBytes) {
    throw new InvalidCharterError('TooLarge', `it has ${bytes.byteLength} bytes, ${maxCharterBytes} are allowed`);
  }
  try {
    return decodeChecked(bytes, fileShape, file);
  } catch (error) {
    throw new InvalidCharterError('Malformed', wordsOf(error));
  }
}

/** CID (CIDv1, dag-cbor, sha2-256) of DAG-CBOR bytes. */
export async function cidOf(bytes: Uint8Array): Promise<CID> {
  return CID.createV1(DAG_CBOR, await sha256.digest(bytes));
}

async function distinct(blocks: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  return [...new Map(await Promise.all(blocks.map(async (b) => [(await cidOf(b)).toString(), b] as const))).values()];
}

function signedBytes(root: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(domain.byteLength + root.byteLength);
  bytes.set(domain);
  bytes.set(root, domain.byteLength);
  return bytes;
}

function authorityKeyOf(authority: string): PublicKey {
  try {
    const key = peerIdFromString(authority).publicKey;
    if (key?.type === 'Ed25519') return key;
  } catch {
    // Said below, with the fix.
  }
  throw new Error(
    `the authority ${authority.slice(0, 80)} is no ed25519 peer id: set it to the authority key's peer id`,
  );
}

async function isSignedBy(key: PublicKey, root: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    return await key.verify(signedBytes(root), signature);
  } catch {
    return false; // A signature of another length throws.
  }
}

/** Names what is wrong with the bytes of a charter; lets everything else through as it is. */
async function refusing<T>(f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    if (error instanceof MalformedError || error instanceof z.ZodError) {
      throw new InvalidCharterError('Malformed', wordsOf(error));
    }
    throw error;
  }
}
