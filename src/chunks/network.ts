/** Questions to peers, as this room sees them; the overlay fits. Rejects when the peer cannot be reached, is late, or sends too much. */
export interface ChunkNetwork {
  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    options: { readonly timeoutMs: number; readonly maxReplyBytes: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
}

/** What no honest peer does. */
export type Misbehaviour = 'malformed' | 'wrong-bytes' | 'oversize';
/** How what was asked of a peer ended. */
export type FetchOutcome = 'ok' | 'refused' | 'timeout' | Misbehaviour;

/** Whether a request failed because the peer sent more than it may. The overlay's errors carry a `kind`. */
export const isOversize = (error: unknown): boolean =>
  error instanceof Error && 'kind' in error && error.kind === 'too-large';
