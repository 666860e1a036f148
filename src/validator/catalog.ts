import type { BufferMap, Holding, Holdings } from '../chunks/index.ts';
import type { ModelInput } from '../learning/index.ts';
import type { CertifiedReport, Charter, CharterModel, Member } from '../overlay/index.ts';
import { type Certificate, type ShownCertificate, showCertificate } from '../trust/index.ts';
import type { ModelTask } from './model-task.ts';
import type { Neighbours } from './neighbours.ts';

/** Runs of chunks that a holder is told with; one whose chunks lie more scattered is told without. */
const MAX_RANGES = 64;

/** A model as this validator sees it: what it knows itself, and what the others last reported. */
export interface IndexedModel {
  readonly name: string;
  readonly uid: string;
  /** In words, such as `classification of digits into 10 classes`. */
  readonly task: string;
  /** `mlp`, `logistic` or `layers`. */
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Greatest number of updates among validators. */
  readonly age: number;
  /** Least accuracy among validators, 0..1. */
  readonly accuracy?: number;
  /** The newest certified version. */
  readonly certified?: {
    readonly cid: string;
    readonly age: number;
    readonly voters: number;
    /** RFC 3339. */
    readonly at?: string;
    readonly bytes?: number;
    readonly chunks?: number;
  };
  readonly holders: {
    /** Validators that hold something of that version. */
    readonly validators: number;
    /** Copies of its rarest chunk. */
    readonly everyChunk: number;
    /** Names of the ValidatorNodes. */
    readonly names: readonly string[];
  };
}

/** A validator that holds some chunks of a version. */
export interface Holder {
  /** Name of the ValidatorNode. */
  readonly name: string;
  readonly peerId: string;
  readonly chunks: number;
  /** Which: `[from, to)`, in order. Absent where there are too many runs of them. */
  readonly ranges?: readonly (readonly [from: number, to: number])[];
}

/** All that it takes to check a certified version and to find its blocks. */
export interface CertificateAnswer {
  readonly model: { readonly name: string; readonly uid: string };
  readonly certificate: ShownCertificate;
  readonly rules: { readonly quorum: string; readonly minimumVoters: number };
  /** Number of the charter in force here, and its validators: whose signature counts, and how much. */
  readonly charterSeq: number;
  readonly members: readonly {
    readonly name: string;
    readonly peerId: string;
    readonly stakeKey: string;
    readonly weight: number;
  }[];
  /** How rows are scaled before the first layer; absent while the model is being loaded here. No part of a version: nobody has signed it. */
  readonly input?: ModelInput;
  readonly holders: readonly Holder[];
}

export interface CatalogParts {
  /** Own peer id. */
  readonly self: string;
  readonly charter: () => Charter | undefined;
  /** Of the charter in force, this one included. */
  readonly validators: () => readonly Member[];
  readonly task: (uid: string) => Pick<ModelTask, 'progress' | 'learner'> | undefined;
  /** The newest certificate of a model. */
  readonly latest: (uid: string) => Certificate | undefined;
  /** Certificates of a model that are kept. */
  readonly kept: (uid: string) => readonly Certificate[];
  /** Unix milliseconds; 0 where it is not known. */
  readonly certifiedAt: (version: string) => number;
  readonly holdings: Pick<Holdings, 'list'>;
  readonly neighbours: Pick<Neighbours, 'report' | 'map'>;
}

/** What people and programs may look up at any one validator: its network's models, their certificates and who holds them. */
export class Catalog {
  readonly #parts: CatalogParts;

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  /** Models that have each of these words in name, task, architecture or labels (`name=value`), whatever their case. */
  find(query: string): readonly IndexedModel[] {
    const words = query
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    return (this.#parts.charter()?.models ?? [])
      .filter((model) => {
        const text = searchText(model);
        return words.every((word) => text.includes(word));
      })
      .map((model) => this.#indexed(model));
  }

  /** The newest certificate of a model, or that of one version; undefined where none is known here. */
  certificate(name: string, version?: string): CertificateAnswer | undefined {
    const { charter, validators, latest, kept, task } = this.#parts;
    const model = charter()?.models.find((one) => one.name === name);
    if (model === undefined) return undefined;
    const newest = latest(model.uid);
    const certificate =
      version === undefined || newest?.version === version
        ? newest
        : kept(model.uid).find((one) => one.version === version);
    if (certificate === undefined) return undefined;
    const { quorum, minimumVoters } = model.spec.versions;
    const input = task(model.uid)?.learner?.input;
    return {
      model: { name, uid: model.uid },
      certificate: showCertificate(certificate),
      rules: { quorum, minimumVoters },
      charterSeq: charter()?.seq ?? 0,
      members: validators().map(({ name: node, peerId, stakeKey, weight }) => ({
        name: node,
        peerId,
        stakeKey,
        weight,
      })),
      ...(input === undefined ? {} : { input }),
      holders: this.#holders(certificate.version).map(({ member, map }) => holder(member, map)),
    };
  }

  #indexed(model: CharterModel): IndexedModel {
    const { task, validators, neighbours } = this.#parts;
    const own = task(model.uid)?.progress;
    const reports = validators().flatMap(
      ({ peerId }) => neighbours.report(peerId)?.models.find(({ uid }) => uid === model.uid) ?? [],
    );
    const accuracies = [own?.accuracy, ...reports.map(({ accuracy }) => accuracy)].filter(
      (accuracy): accuracy is number => typeof accuracy === 'number' && Number.isFinite(accuracy),
    );
    const certified = this.#certified(
      model.uid,
      reports.flatMap((report) => report.certified ?? []),
    );
    const holders = certified === undefined ? [] : this.#holders(certified.cid);
    return {
      name: model.name,
      uid: model.uid,
      task: taskOf(model),
      architecture: architectureOf(model),
      labels: model.labels ?? {},
      age: Math.max(own?.age ?? 0, ...reports.map(({ age }) => age)),
      ...(accuracies.length === 0 ? {} : { accuracy: Math.min(...accuracies) }),
      ...(certified === undefined ? {} : { certified }),
      holders: {
        validators: holders.length,
        everyChunk: leastCopies(holders.map(({ map }) => map)),
        names: holders.map(({ member }) => member.name),
      },
    };
  }

  /** What is certified as far as it was seen here; before anything was, what others say. */
  #certified(uid: string, reported: readonly CertifiedReport[]): IndexedModel['certified'] {
    const { latest, certifiedAt } = this.#parts;
    const own = latest(uid);
    const known =
      own === undefined
        ? reported.toSorted((a, b) => b.age - a.age)[0]
        : { cid: own.version, age: own.age, voters: own.signatures.length, at: certifiedAt(own.version) };
    if (known === undefined) return undefined;
    const { cid, age, voters, at } = known;
    const manifest = this.#holding(cid)?.manifest;
    const told = reported.find((one) => one.cid === cid);
    const bytes = manifest?.bytes ?? told?.bytes;
    const chunks = manifest?.chunks.length ?? told?.chunks;
    return {
      cid,
      age,
      voters,
      ...(at > 0 && at <= LAST_DATE ? { at: new Date(at).toISOString() } : {}),
      ...(bytes === undefined ? {} : { bytes }),
      ...(chunks === undefined ? {} : { chunks }),
    };
  }

  /** Validators that hold at least one chunk of a version, by what they last said. */
  #holders(version: string): readonly { readonly member: Member; readonly map: BufferMap }[] {
    const { self, validators, neighbours } = this.#parts;
    const own = this.#holding(version)?.map;
    const chunks =
      own?.length ??
      validators()
        .flatMap(({ peerId }) => neighbours.report(peerId)?.held ?? [])
        .find(({ cid }) => cid === version)?.chunks;
    if (chunks === undefined) return [];
    return validators().flatMap((member) => {
      const map = member.peerId === self ? own : neighbours.map(member.peerId, version, chunks);
      return map === undefined || map.count === 0 ? [] : [{ member, map }];
    });
  }

  #holding(version: string): Holding | undefined {
    return this.#parts.holdings.list().find(({ cid }) => cid.toString() === version);
  }
}

/** The last moment that a Date can be. */
const LAST_DATE = 8.64e15;

const searchText = (model: CharterModel): string =>
  [
    model.name,
    taskOf(model),
    architectureOf(model),
    ...Object.entries(model.labels ?? {}).map(([name, value]) => `${name}=${value}`),
  ]
    .join('\n')
    .toLowerCase();

/** What a model is for, as far as its spec says. */
function taskOf({ spec }: CharterModel): string {
  const { source, classes } = spec.data;
  // Of a URL the path alone: what comes after it may be a password to the data.
  const file = URL.parse(source.url ?? '')
    ?.pathname.split('/')
    .at(-1);
  const of = source.builtin ?? source.configMap?.name ?? source.claim?.path ?? file;
  return `classification${of === undefined || of === '' ? '' : ` of ${of}`} into ${classes} classes`;
}

const architectureOf = ({ spec: { architecture } }: CharterModel): string =>
  architecture.layers === undefined ? (architecture.preset ?? 'mlp') : 'layers';

/** How often the rarest chunk is there. */
function leastCopies(maps: readonly BufferMap[]): number {
  const partly = maps.filter(({ complete }) => !complete);
  let least = partly.length;
  for (let chunk = 0; least > 0 && chunk < (partly[0]?.length ?? 0); chunk++)
    least = Math.min(least, partly.filter((map) => map.has(chunk)).length);
  return maps.length - partly.length + least;
}

function holder({ name, peerId }: Member, map: BufferMap): Holder {
  const ranges: [number, number][] = [];
  for (const index of map.indexes()) {
    const last = ranges.at(-1);
    if (last?.[1] === index) last[1] = index + 1;
    else if (ranges.push([index, index + 1]) > MAX_RANGES) return { name, peerId, chunks: map.count };
  }
  return { name, peerId, chunks: map.count, ranges };
}
