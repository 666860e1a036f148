/** The files around a version's weights: what TensorFlow.js reads, and what was checked. Pure. */
import type { Manifest } from '../../chunks/index.ts';
import { layersModelOf } from '../../learning/index.ts';
import type { CharterModel } from '../../overlay/index.ts';
import { type Certificate, showCertificate } from '../../trust/index.ts';
import type { Input, Signer } from './certificate.ts';
import type { PulledFile } from './folder.ts';
import type { Authority } from './trusted.ts';

/** What a pulled folder says of itself. */
export const noteName = 'murmuration.json';
/** The manifest's block: its sha2-256 is in the version's CID, and it names the chunks. */
const manifestName = 'manifest.cbor';
const scalingName = 'group2-shard1of1.bin';

/** All that is known of a version once it was checked. */
export interface PulledVersion {
  readonly namespace: string;
  readonly model: CharterModel;
  readonly version: string;
  readonly manifest: Manifest;
  readonly manifestBlock: Uint8Array;
  readonly certificate: Certificate;
  readonly signers: readonly Signer[];
  readonly input: Input;
  readonly authority: Authority;
  readonly charterSeq: number;
  /** Release that pulls. */
  readonly release: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * model.json and what goes with it, besides the weights. @param shards files with the weights, in order
 * @throws ModelError when the spec of now has no layers
 */
export function modelFiles(pulled: PulledVersion, shards: readonly string[]): readonly PulledFile[] {
  const { manifest, model, input, manifestBlock, release } = pulled;
  const { topology, scaling } = layersModelOf(model.spec.architecture, model.spec.data.classes, input.input);
  const weights = (tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]) =>
    tensors.map(({ name, shape }) => ({ name, shape, dtype: 'float32' }));
  const modelJson = {
    format: 'layers-model',
    generatedBy: `murmuration ${release}`,
    convertedBy: null,
    modelTopology: topology,
    weightsManifest: [
      { paths: shards, weights: weights(manifest.tensors) },
      ...(scaling.length === 0 ? [] : [{ paths: [scalingName], weights: weights(scaling) }]),
    ],
  };
  return [
    { name: 'model.json', content: json(modelJson) },
    ...(scaling.length === 0 ? [] : [{ name: scalingName, content: littleEndian(scaling) }]),
    { name: manifestName, content: manifestBlock },
    { name: noteName, content: json(noteOf(pulled)) },
  ];
}

/** What it is, and what it was held against: enough to check all of it again without the cluster. */
function noteOf(pulled: PulledVersion): object {
  const { namespace, model, version, manifest, certificate, signers, input, authority, charterSeq, now } = pulled;
  return {
    apiVersion: 'murmuration.dev/pulled/v1',
    model: { namespace, network: certificate.network, name: model.name, uid: model.uid, labels: model.labels ?? {} },
    version: {
      cid: version,
      updates: certificate.age,
      bytes: manifest.bytes,
      chunkBytes: manifest.chunkBytes,
      chunks: manifest.chunks.map(String),
    },
    certificate: showCertificate(certificate),
    checkedAgainst: {
      authority: authority.peerId,
      authorityFrom: authority.from,
      charterSeq,
      quorum: model.spec.versions.quorum,
      minimumVoters: model.spec.versions.minimumVoters,
      validators: signers,
    },
    input: { ...input.input, from: input.from, agreed: input.agreed, asked: input.asked },
    pulledAt: new Date(now).toISOString(),
  };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function littleEndian(tensors: readonly { readonly data: Float32Array }[]): Uint8Array {
  const bytes = Buffer.alloc(tensors.reduce((sum, { data }) => sum + data.byteLength, 0));
  let offset = 0;
  for (const { data } of tensors) for (const value of data) offset = bytes.writeFloatLE(value, offset);
  return bytes;
}
