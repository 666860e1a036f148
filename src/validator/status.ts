import type { Overlay } from '../overlay/index.ts';
import type { Replicas } from './replicas.ts';
import type { ReportParts } from './report.ts';
import type { UserRows } from './users/index.ts';

/** `GET /status`: the same facts as in the report to neighbours, by names instead of keys, for a person or a script. */
export function describe(
  name: string,
  overlay: Pick<Overlay, 'peerId' | 'charter'>,
  parts: ReportParts & { readonly userRows: Pick<UserRows, 'count'> },
  replicas: Replicas,
) {
  return {
    name,
    peerId: overlay.peerId,
    network: overlay.charter?.network,
    charterSeq: parts.charterSeq(),
    peers: parts.peers(),
    chunks: replicas.standing(),
    models: parts.tasks().map(({ model, progress, origin, partition }) => {
      const certificate = parts.latest(model.uid);
      return {
        name: model.name,
        uid: model.uid,
        ...progress,
        partition,
        userRows: parts.userRows.count(model.uid),
        startedFrom: origin?.from,
        startedAtAge: origin?.age,
        certified: certificate && {
          cid: certificate.version,
          age: certificate.age,
          voters: certificate.signatures.length,
        },
      };
    }),
    held: parts.holdings.list().map(({ cid, manifest, map }) => ({
      cid: cid.toString(),
      model: manifest.model,
      age: manifest.age,
      have: map.count,
      chunks: map.length,
    })),
    problems: parts.problems.list(),
  };
}
