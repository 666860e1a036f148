import { fork } from 'node:child_process';
import { join } from 'node:path';
import { BenchProcess } from '../../process.ts';
import type { Command, Event, ValidatorConfig } from './contract.ts';

/** A validator in a process of its own, which ends as a pod ends. */
export class ValidatorProcess extends BenchProcess<Command, Event> {
  constructor(config: ValidatorConfig) {
    super({
      name: config.name,
      folder: config.folder,
      start: (stderr) =>
        fork(join(import.meta.dirname, 'validator.ts'), [JSON.stringify(config)], {
          stdio: ['ignore', 'ignore', stderr, 'ipc'],
        }),
      send: (child, command) => void (child.connected && child.send(command)),
      patienceMs: 60_000,
    });
    this.child.on('message', (event: Event) => this.hear(event));
  }
}
