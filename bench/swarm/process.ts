import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BenchProcess } from '../process.ts';
import type { PeerCommand, PeerEvent } from './contract.ts';

/** A process of a swarm, spoken to as contract.ts says: a line of JSON each way. */
export class PeerProcess extends BenchProcess<PeerCommand, PeerEvent> {
  constructor(name: string, [program, args]: readonly [string, readonly string[]], folder: string) {
    super({
      name,
      folder,
      start: (stderr) => spawn(program, args, { stdio: ['pipe', 'pipe', stderr] }),
      send: ({ stdin }, command) => void stdin?.write(`${JSON.stringify(command)}\n`),
      patienceMs: 5_000,
    });
    const { stdin, stdout } = this.child;
    stdin?.on('error', () => undefined); // its end is told by its exit
    if (stdout !== null)
      createInterface({ input: stdout }).on('line', (line) => this.hear(JSON.parse(line) as PeerEvent));
  }
}
