import { errorCode } from './disk.ts';

/** The volume has no room for a file. The write left nothing behind and what was there stays; free space or a larger volume repairs it. */
export class VolumeFullError extends Error {
  override readonly name = 'VolumeFullError';
  readonly code = 'VolumeFull';
  /** File or folder that was to be written. */
  readonly path: string;
  readonly neededBytes: number;

  constructor(path: string, neededBytes: number, options?: ErrorOptions) {
    super(
      `could not write ${neededBytes} bytes under ${path}: the volume is full; ` +
        'raise spec.storage.size, or drop versions that are not kept',
      options,
    );
    this.path = path;
    this.neededBytes = neededBytes;
  }
}

/** Whether something caught says that the volume, or the quota on it, is used up. */
export function isVolumeFull(error: unknown): error is Error {
  return error instanceof VolumeFullError || ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
}
