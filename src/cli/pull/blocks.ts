/** Blocks by their CID from several validators at once: each is checked, and asked for elsewhere where it is not to be had. */
import type { CID } from 'multiformats/cid';
import { matches } from '../../chunks/index.ts';
import { reasonOf, saidBy } from '../errors.ts';

/** Blocks asked for at a time: so many for each validator that there is, and no more in all. */
const perSource = 4;
const total = 16;
/** A validator that is busy or away may be back: so often everybody is asked, with a pause between. */
const rounds = 3;
const pause = 1_000;

/** A validator that may have blocks. */
export interface Source {
  /** Its pod. */
  readonly name: string;
  /** Chunks that it is said to hold, `[from, to)`; undefined where nobody says. */
  readonly ranges?: readonly (readonly [from: number, to: number])[] | undefined;
}

/** A block that is wanted. */
export interface WantedBlock {
  readonly cid: CID;
  /** Exact number of bytes; undefined where it is not known. */
  readonly bytes?: number;
  /** Which chunk of the version it is; undefined for the manifest. */
  readonly index?: number;
}

export interface BlockOptions {
  /** Bytes that a source gives for a block. Rejects where it has none, cannot answer, or sends too much. */
  readonly ask: (source: string, block: WantedBlock, signal: AbortSignal) => Promise<Uint8Array>;
  /** A block is here and its bytes are what its CID says. What this throws ends everything. */
  readonly onBlock: (block: WantedBlock, bytes: Uint8Array, source: string) => Promise<void>;
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** A block that nobody gave. */
export class BlockMissing extends Error {
  override readonly name = 'BlockMissing';
}

interface Standing extends Source {
  inFlight: number;
  served: number;
  failures: number;
  /** It sent bytes that were not what it was asked for: it is not asked again. */
  lied: boolean;
}

/** Gets every block, or rejects with the first that nobody has. @throws BlockMissing */
export async function fetchBlocks(
  wanted: readonly WantedBlock[],
  sources: readonly Source[],
  options: BlockOptions,
): Promise<void> {
  const standings = sources.map((source) => ({ ...source, inFlight: 0, served: 0, failures: 0, lied: false }));
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const rest = wanted[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      signal.throwIfAborted();
      await fetchOne(next.value, standings, { ...options, signal });
    }
  };
  const workers = Math.max(1, Math.min(total, perSource * standings.length, wanted.length));
  try {
    await Promise.all(Array.from({ length: workers }, worker));
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

async function fetchOne(block: WantedBlock, standings: readonly Standing[], options: BlockOptions): Promise<void> {
  const { onBlock, wait, signal } = options;
  const reasons = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    if (round > 0) await wait(pause, signal);
    const tried = new Set<Standing>();
    for (let source = best(block, standings, tried); source !== undefined; source = best(block, standings, tried)) {
      tried.add(source);
      const taken = await take(block, source, options);
      if (typeof taken !== 'string') return onBlock(block, taken, source.name);
      reasons.set(source.name, taken);
    }
  }
  const said = [...reasons].slice(0, 4).map(([source, reason]) => saidBy(source, reason));
  throw new BlockMissing(
    `Block ${block.cid} is not to be had. ${said.length === 0 ? 'No validator is known to ask' : said.join('; ')}.`,
  );
}

/** The bytes, checked; or why there are none. */
async function take(block: WantedBlock, source: Standing, { ask, signal }: BlockOptions): Promise<Uint8Array | string> {
  source.inFlight += 1;
  try {
    const bytes = await ask(source.name, block, signal);
    const isRight = (block.bytes === undefined || bytes.byteLength === block.bytes) && matches(block.cid, bytes);
    source.lied ||= !isRight;
    if (!isRight) return 'sent other bytes than the CID says';
    source.served += 1;
    return bytes;
  } catch (error) {
    signal.throwIfAborted();
    source.failures += 1;
    return reasonOf(error);
  } finally {
    source.inFlight -= 1;
  }
}

/** Who is said to have it before others, then who has least to do. */
function best(
  { index }: WantedBlock,
  standings: readonly Standing[],
  tried: ReadonlySet<Standing>,
): Standing | undefined {
  const unlikely = ({ ranges }: Standing): number => {
    if (ranges === undefined || index === undefined) return 1;
    return ranges.some(([from, to]) => from <= index && index < to) ? 0 : 2;
  };
  const [first] = standings
    .filter((source) => !source.lied && !tried.has(source))
    .sort(
      (a, b) => unlikely(a) - unlikely(b) || a.inFlight - b.inFlight || a.failures - b.failures || a.served - b.served,
    );
  return first;
}
