/** What a data file may cost before it is refused with DataTooLarge. Sizes are bytes. */
export interface DataLimits {
  /** The file as stored. */
  readonly fileBytes: number;
  /** All that comes out of it when it is unpacked. */
  readonly unpackedBytes: number;
  /** How many times larger than stored a file of more than `freelyUnpackedBytes` may be when unpacked. */
  readonly unpackedRatio: number;
  readonly freelyUnpackedBytes: number;
  readonly rows: number;
  /** Numbers of one record. */
  readonly columns: number;
  /** Features up to this size stay in memory; larger tables go to the scratch volume. */
  readonly memoryBytes: number;
  /** Features on the scratch volume. */
  readonly scratchBytes: number;
}

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/**
 * Sized for a pod of 768 MiB, whatever the file: 64 MiB of features and, for a row, 20 bytes of label and row numbers
 * stay in memory.
 */
export const DEFAULT_DATA_LIMITS: DataLimits = {
  fileBytes: 4 * gibibyte,
  unpackedBytes: 16 * gibibyte,
  unpackedRatio: 100,
  freelyUnpackedBytes: 256 * mebibyte,
  rows: 8 * mebibyte,
  columns: mebibyte,
  memoryBytes: 64 * mebibyte,
  scratchBytes: 16 * gibibyte,
};

/** Bytes that may come out of a file of `stored` bytes. Real data do not shrink to a hundredth; bombs do to a thousandth. */
export function unpackedLimit(stored: number, limits: DataLimits): number {
  return Math.min(limits.unpackedBytes, Math.max(limits.freelyUnpackedBytes, stored * limits.unpackedRatio));
}

/** A size as people read it. */
export function sizeOf(bytes: number): string {
  if (bytes >= gibibyte) return `${Math.round(bytes / gibibyte)} GiB`;
  return bytes >= mebibyte ? `${Math.round(bytes / mebibyte)} MiB` : `${bytes} bytes`;
}
