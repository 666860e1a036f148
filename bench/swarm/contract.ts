/**
 * How the bench talks to a process of a swarm, whatever program it is. The process is given the path of a PeerConfig (JSON)
 * as its only argument, reads commands on stdin and tells events on stdout, each a JSON object on a line of its own. It ends
 * when stdin does, so none outlives a bench that was killed.
 *
 *     up -> meet -> ready -> go -> done        stats and leave at any time
 *
 * Times are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share.
 */

/** What a process is to be: whole from the beginning, downloading, or claiming everything and sending wrong bytes. */
export type Role = 'seed' | 'receiver' | 'liar';

export interface PeerConfig {
  /** 0 is the seed. */
  readonly index: number;
  readonly role: Role;
  /** For its files; made already, empty. */
  readonly folder: string;
  readonly file: FileConfig;
  /** IP address of each peer, in the order of their indexes. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The seed's name for the file; absent for the seed itself, which makes it. */
  readonly version?: string;
  /** What only this kind of program needs. */
  readonly engine: unknown;
}

/** The file that is distributed: the same numbers give the same bytes. */
export interface FileConfig {
  readonly bytes: number;
  readonly chunkBytes: number;
  /** Of the random content. */
  readonly seed: number;
}

export type PeerCommand =
  /** All are up: connect to everyone. */
  | { readonly do: 'meet' }
  /** At this time: the seed tells that it has the file, a receiver starts to fetch it. */
  | { readonly do: 'go'; readonly at: number }
  | { readonly do: 'stats' }
  /** End at once, without a word to anybody. */
  | { readonly do: 'leave' };

export type PeerEvent =
  /** It listens; the seed has the file on disk and says what it is called. */
  | { readonly event: 'up'; readonly version?: string }
  /** Connected to everyone. */
  | { readonly event: 'ready' }
  /** The whole file is here, so long after the time of `go`. ms */
  | { readonly event: 'done'; readonly ms: number }
  | ({ readonly event: 'stats' } & PeerStats)
  | { readonly event: 'failed'; readonly why: string };

/** Counted from the start of the process. */
export interface PeerStats extends BlockStats {
  /** User and system time. */
  readonly cpuMs: number;
  readonly maxRssMb: number;
  /** How late the event loop came, since `go`; null where the program has none. */
  readonly loopMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
}

/** Bytes of blocks: the payload, without what is wrapped around it. */
export interface BlockStats {
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Those of `bytesIn` that were here already, or wrong. */
  readonly wastedBytes: number;
}
