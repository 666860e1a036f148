import type { CID } from 'multiformats/cid';
import type { Disk } from '../disk/index.ts';
import type { Clock } from './clock.ts';

export interface ChunkStoreOptions {
  /** The file system; the machine's own unless told. */
  readonly fs?: Disk;
  /** Time, for the slow check of all files and for how often the volume is looked at; the machine's own unless told. */
  readonly clock?: Clock;
  /** Blocks beyond this many bytes are refused with VolumeFullError, before the disk itself is full. */
  readonly maxBytes?: number;
  /** So many bytes of the volume stay free for other files: a write that would leave less is refused with VolumeFullError. Default 0. */
  readonly minFreeBytes?: number;
  /** Memory for blocks that were just written or read. Default 16 MiB; 0: none. */
  readonly cacheBytes?: number;
  /** Bytes that may be written and not durable yet; writers wait beyond. Default 64 MiB. */
  readonly maxUnsyncedBytes?: number;
  /** Bytes that the slow check hashes a second, once all files were checked. Default 1 GiB an hour, or everything a day where that is more. */
  readonly scrubBytesPerSecond?: number;
}

/**
 * Why a block is gone: somebody deleted it; its bytes did not hash to its name; or it was here for a moment, but the disk could
 * not make it durable.
 */
export type Loss = 'deleted' | 'corrupt' | 'not durable';

export interface ChunkStoreEvents {
  /** A block is here and checked. It is durable a moment later, unless `onLost` says otherwise. */
  readonly onHave?: (cid: CID) => void;
  /**
   * A block is gone, its file is removed.
   * @param error of a block that could not be made durable: VolumeFullError, or the disk's error
   */
  readonly onLost?: (cid: CID, why: Loss, error?: unknown) => void;
}
