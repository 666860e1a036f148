import type { BufferMap } from './buffer-map.ts';

/** Somebody who may have blocks, with what is known of what it holds. */
export interface Source {
  readonly peer: string;
  readonly map?: BufferMap | undefined;
}

/** What no honest peer does. */
export type Misbehaviour = 'malformed' | 'wrong-bytes' | 'oversize';
/** How a request ended. */
export type FetchOutcome = 'ok' | 'refused' | 'timeout' | Misbehaviour;
