import { join } from 'node:path';
import type { FileConfig } from './contract.ts';
import { libtorrentPython } from './libtorrent.ts';
import { prepareOurs } from './ours.ts';

/** How libtorrent is set: as it comes, or for this race (see libtorrent_peer.py). */
export const LIBTORRENT_SETTINGS = ['default', 'tuned', 'super'] as const;
export type LibtorrentSetting = (typeof LIBTORRENT_SETTINGS)[number];

export type EngineName = 'ours' | `libtorrent ${LibtorrentSetting}`;

/** A program that distributes files, as the bench starts it. */
export interface Engine {
  readonly name: EngineName;
  /** Command before the path of the configuration. */
  readonly command: readonly [string, ...string[]];
  /** What each peer is told besides what all programs are, in the order of addresses. */
  prepare(addresses: readonly string[], port: number, file: FileConfig): Promise<readonly unknown[]>;
}

/** `BENCH_PROFILE="--cpu-prof --cpu-prof-dir=DIR"` goes to the node of every peer. */
export function ours(): Engine {
  const flags = process.env.BENCH_PROFILE?.split(' ') ?? [];
  return {
    name: 'ours',
    command: [process.execPath, ...flags, join(import.meta.dirname, 'peer.ts')],
    prepare: (addresses, port) => prepareOurs(addresses, port),
  };
}

/** @throws Error that says why libtorrent cannot be had */
export function libtorrent(setting: LibtorrentSetting): Engine {
  return {
    name: `libtorrent ${setting}`,
    command: [libtorrentPython(), join(import.meta.dirname, 'libtorrent_peer.py')],
    prepare: async (addresses) => addresses.map(() => ({ setting })),
  };
}
