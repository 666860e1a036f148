import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

let python: string | undefined;

/**
 * A Python that has libtorrent, in a virtual environment of the cache folder: see libtorrent.sh, which says its progress and
 * what to do when it fails.
 * @returns path of the interpreter
 */
export function libtorrentPython(): string {
  if (python !== undefined) return python;
  const { status, stdout } = spawnSync('bash', [join(import.meta.dirname, 'libtorrent.sh')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const path = stdout.trim();
  if (status !== 0 || path === '')
    throw new Error('libtorrent cannot be had (see above); --libtorrent none runs without it');
  python = path;
  return path;
}
