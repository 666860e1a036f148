/** The search index of one network: what the first validator that answers says. */
import { z } from 'zod';
import { shortCid } from '../../api/index.ts';
import { saidBy } from '../errors.ts';
import { askFor, type Pod } from '../pod/exchange.ts';
import { count, shownText } from '../pod/shapes.ts';

/** `GET /v1/models` of a validator. */
const indexShape = z.object({
  models: z
    .array(
      z.object({
        name: shownText(253),
        uid: shownText(64),
        task: shownText(2200),
        architecture: shownText(64),
        labels: z.record(shownText(317), shownText(63)),
        age: count,
        accuracy: z.number().min(0).max(1).optional(),
        certified: z
          .object({
            cid: shownText(128),
            age: count,
            voters: count,
            at: shownText(64).optional(),
            bytes: count.optional(),
            chunks: count.optional(),
          })
          .optional(),
        holders: z.object({ validators: count, everyChunk: count, names: z.array(shownText(253)).max(2000) }),
      }),
    )
    .max(256),
});

/** A model that was found. Fields are as in `-o json`. */
export interface FoundModel {
  readonly namespace: string;
  readonly network: string;
  readonly name: string;
  readonly task: string;
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly updates: number;
  /** Least among validators, 0..1. */
  readonly accuracy?: number | undefined;
  readonly version?: {
    readonly cid: string;
    readonly short: string;
    readonly updates: number;
    /** Signatures of its certificate. */
    readonly certifiedBy: number;
    readonly certifiedAt?: string | undefined;
    readonly bytes?: number | undefined;
    readonly chunks?: number | undefined;
  };
  readonly holders: {
    readonly validators: number;
    readonly everyChunk: number;
    readonly names: readonly string[];
  };
}

/** What one network's validators say. */
export interface Found {
  readonly models: readonly FoundModel[];
  /** The pod that answered. */
  readonly validator: string;
}

/** Asks pods one after the other until one answers; else why none did. */
export async function searchNetwork(
  where: Omit<Pod, 'pod'> & { readonly network: string; readonly pods: readonly string[] },
  words: readonly string[],
  signal: AbortSignal,
): Promise<Found | { readonly refusals: readonly string[] }> {
  const { transport, namespace, network, pods } = where;
  const refusals: string[] = [];
  for (const pod of pods) {
    const path = `/v1/models?q=${encodeURIComponent(words.join(' '))}`;
    const said = await askFor({ transport, namespace, pod }, path, indexShape, signal);
    if ('refusal' in said) {
      refusals.push(saidBy(pod, said.refusal));
      continue;
    }
    const models = said.value.models.map(({ name, task, architecture, labels, age, accuracy, certified, holders }) => ({
      namespace,
      network,
      name,
      task,
      architecture,
      labels,
      updates: age,
      ...(accuracy === undefined ? {} : { accuracy }),
      ...(certified === undefined
        ? {}
        : {
            version: {
              cid: certified.cid,
              short: shortCid(certified.cid),
              updates: certified.age,
              certifiedBy: certified.voters,
              ...(certified.at === undefined ? {} : { certifiedAt: certified.at }),
              ...(certified.bytes === undefined ? {} : { bytes: certified.bytes }),
              ...(certified.chunks === undefined ? {} : { chunks: certified.chunks }),
            },
          }),
      holders,
    }));
    return { models, validator: pod };
  }
  return { refusals };
}
