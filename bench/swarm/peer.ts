/**
 * One process of ours in a swarm, see contract.ts:
 *
 *     node bench/swarm/peer.ts CONFIG
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerCommand, PeerConfig, PeerEvent } from './contract.ts';
import { startOurs } from './ours.ts';

const LOOP_RESOLUTION_MS = 5;

if (import.meta.main) await run(process.argv[2] ?? '');

async function run(path: string): Promise<void> {
  const config = JSON.parse(readFileSync(path, 'utf8')) as PeerConfig;
  const commands = createInterface({ input: process.stdin });
  commands.once('close', () => process.exit(0));
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  const peer = await startOurs(config);

  const go = async (at: number): Promise<void> => {
    await sleep(Math.max(0, at - monotonicMs()));
    loop.reset();
    if (config.role !== 'receiver') return peer.publish();
    await peer.fetch(config.version ?? '');
    tell({ event: 'done', ms: monotonicMs() - at });
  };
  const obey = async (command: PeerCommand): Promise<void> => {
    switch (command.do) {
      case 'meet':
        await peer.meet();
        loop.enable();
        return tell({ event: 'ready' });
      case 'go':
        return go(command.at);
      case 'stats': {
        const { user, system } = process.cpuUsage();
        const { maxRSS } = process.resourceUsage();
        const late = (ns: number): number => Math.max(0, ns / 1e6 - LOOP_RESOLUTION_MS);
        return tell({
          event: 'stats',
          ...peer.stats(),
          cpuMs: (user + system) / 1000,
          maxRssMb: (maxRSS * 1024) / 1e6,
          loopMs: { p50: late(loop.percentile(50)), p99: late(loop.percentile(99)), max: late(loop.max) },
        });
      }
      case 'leave':
        return process.exit(0);
    }
  };
  commands.on('line', (line) => {
    obey(JSON.parse(line) as PeerCommand).catch((error: unknown) => {
      tell({ event: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    });
  });
  tell({ event: 'up', ...(peer.version === undefined ? {} : { version: peer.version }) });
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

function tell(event: PeerEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
