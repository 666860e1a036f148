import { errorCode } from './disk.ts';

export interface VolumeFullOptions extends ErrorOptions {
  /** What there is no room in, and by how much; `the volume is full` unless told. */
  readonly because?: string;
}

/** The volume has no room for a file. The write left nothing behind and what was there stays; free space or a larger volume repairs it. */
export class VolumeFullError extends Error {
  override readonly name = 'VolumeFullError';
  readonly code = 'VolumeFull';
  /** File or folder that was to be written. */
  readonly path: string;
  readonly neededBytes: number;

  constructor(
    path: string,
    neededBytes: number,
    { because = 'the volume is full', ...options }: VolumeFullOptions = {},
  ) {
    super(
      `could not write ${neededBytes} bytes under ${path}: ${because}; ` +
        'raise spec.storage.size, or keep fewer versions (spec.versions.keep of the models, pinned ModelShards)',
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
