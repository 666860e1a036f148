// Files that outlive a crash, on a disk that is passed in: the file system's part that stores need, and the one way to
// write a file whole or not at all. Every room may import this file; it imports nothing of ours.
export { type Disk, type DiskFile, errorCode, realDisk, type Space } from './disk.ts';
export * from './durable.ts';
export { GroupSync } from './group-sync.ts';
export { Headroom } from './headroom.ts';
export { isVolumeFull, VolumeFullError } from './volume-full.ts';
