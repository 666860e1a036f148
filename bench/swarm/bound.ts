/** The size of a distribution: one server has a file, others want it, all have the same uplink. */
export interface Distribution {
  /** Those that want the file: the server is not counted. */
  readonly receivers: number;
  readonly bytes: number;
  readonly chunkBytes: number;
  /** Uplink of each. Mbit/s */
  readonly mbit: number;
}

/**
 * The least time in which all of them can have the file: T* = (F/u)(1 + floor(log2 N)/M), where N is the number of peers that
 * want it (one server more has it), M the number of chunks, F the bytes of the file and u the uplink in bytes/s
 * (Mundinger, Weber, Weiss: Optimal scheduling of peer-to-peer file dissemination, Journal of Scheduling 11, 2008, theorem 1).
 * Only payload is counted: headers of TCP and IP take 4.4 % of a shaped link (1448 of 1514 bytes are payload), so even a perfect
 * swarm stays below 0.956 of this.
 * @returns ms
 */
export function leastMs({ receivers, bytes, chunkBytes, mbit }: Distribution): number {
  const bytesPerMs = (mbit * 1e6) / 8 / 1000;
  const chunks = Math.ceil(bytes / chunkBytes);
  return (bytes / bytesPerMs) * (1 + Math.floor(Math.log2(receivers)) / chunks);
}
