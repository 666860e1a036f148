import type { Holding, Holdings } from '../chunks/index.ts';
import { type ModelReport, type Report, type ReputationReport, reportLimits } from '../overlay/index.ts';
import type { Certificate, ReputationBook } from '../trust/index.ts';
import type { ModelTask } from './model-task.ts';
import type { Problems } from './problems.ts';

/** Versions whose buffer maps are told; with long bitmaps fewer fit, see report-size.ts. */
const MAX_HELD = 12;

export interface ReportParts {
  readonly node: string;
  /** Free bytes on the volume. */
  readonly freeBytes: () => Promise<number>;
  readonly charterSeq: () => number;
  readonly peers: () => readonly string[];
  readonly tasks: () => readonly ModelTask[];
  readonly latest: (uid: string) => Certificate | undefined;
  /** When a version was certified, as far as this validator saw it; unix milliseconds. */
  readonly certifiedAt: (version: string) => number;
  readonly holdings: Holdings;
  readonly usedBytes: () => number;
  readonly reputation: ReputationBook;
  /** Members that reputation is told of. */
  readonly members: () => ReadonlySet<string>;
  readonly problems: Problems;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** What this validator says of itself now. */
export async function composeReport(parts: ReportParts): Promise<Report> {
  const freeBytes = await parts.freeBytes();
  const tasks = parts.tasks().slice(0, reportLimits.models);
  return {
    v: 1,
    node: parts.node,
    at: parts.clock(),
    charterSeq: parts.charterSeq(),
    peers: parts.peers().length,
    backend: tasks.find(({ progress }) => progress.backend !== undefined)?.progress.backend ?? 'none',
    disk: { usedBytes: parts.usedBytes(), freeBytes },
    models: tasks.map((task) => modelReport(task, parts)),
    reputation: reputationReport(parts),
    held: mostWanted(parts)
      .map(({ cid, manifest, map }) => ({
        model: manifest.model,
        cid: cid.toString(),
        chunks: map.length,
        bitmap: map.bits(),
      }))
      .filter(({ bitmap }) => bitmap.byteLength <= reportLimits.bitmapBytes)
      .slice(0, MAX_HELD),
    problems: parts.problems
      .list()
      .slice(0, reportLimits.problems)
      .map(({ reason, message }) => ({ reason, message: message.slice(0, reportLimits.message) })),
  };
}

/** What is held, most wanted first: the newest certified version of each model, then the newest of each, the second newest, ... */
function mostWanted({ holdings, latest }: ReportParts): readonly Holding[] {
  const ranks = new Map<string, number>();
  return holdings
    .list()
    .toSorted((a, b) => b.manifest.age - a.manifest.age)
    .map((holding) => {
      const { model } = holding.manifest;
      const rank = ranks.get(model) ?? 0;
      ranks.set(model, rank + 1);
      return { holding, rank: latest(model)?.version === holding.cid.toString() ? -1 : rank };
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ holding }) => holding);
}

function modelReport({ model, progress }: ModelTask, { latest, certifiedAt, holdings }: ReportParts): ModelReport {
  const certificate = latest(model.uid);
  const manifest = holdings.list().find(({ cid }) => cid.toString() === certificate?.version)?.manifest;
  return {
    uid: model.uid,
    age: progress.age,
    loss: known(progress.loss),
    accuracy: known(progress.accuracy),
    divergence: known(progress.divergence),
    ...(certificate === undefined || manifest === undefined
      ? {}
      : {
          certified: {
            cid: certificate.version,
            age: certificate.age,
            bytes: manifest.bytes,
            chunks: manifest.chunks.length,
            voters: certificate.signatures.length,
            at: certifiedAt(certificate.version),
          },
        }),
    ...(progress.problem === undefined
      ? {}
      : {
          problem: {
            reason: progress.problem.reason,
            message: progress.problem.message.slice(0, reportLimits.message),
          },
        }),
  };
}

function reputationReport({ reputation, members }: ReportParts): readonly ReputationReport[] {
  return [...members()]
    .slice(0, reportLimits.reputation)
    .map((peerId) => ({ peerId, ...reputation.of(peerId) }))
    .map(({ peerId, storage, learning, interactions }) => ({ peerId, storage, learning, interactions }));
}

/** NaN and infinities have no place in a report. */
const known = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;
