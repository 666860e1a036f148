/**
 * A validator and its signer in a process, as the pod runs them, see contract.ts:
 *
 *     node bench/learning/processes/validator.ts CONFIG
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { startSigner } from '../../../src/trust/index.ts';
import { startValidator } from '../../../src/validator/index.ts';
import { realWorld, type World } from '../../../src/validator/world.ts';
import { type Command, type Event, times, type ValidatorConfig } from './contract.ts';
import { Gate } from './gate.ts';
import { WAIT_MILLISECONDS } from './runs.ts';

/** While no version is made nothing in a validator waits for so short a time but the loop of exchanges. */
const LONGEST_WAIT_MILLISECONDS = 1.5 * WAIT_MILLISECONDS;

if (import.meta.main) {
  run(JSON.parse(process.argv[2] ?? '') as ValidatorConfig).catch((error: unknown) => {
    tell({ event: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
}

async function run({ name, network, authority, folder, charter, mounts }: ValidatorConfig): Promise<void> {
  const log = pino({ level: process.env.LOG_LEVEL ?? 'warn' }, pino.destination(2));
  const stop = new AbortController();
  const gate = new Gate(times, (count) => tell({ event: 'held', ...count }));
  const sleep: World['sleep'] = async (milliseconds, signal) => {
    if (milliseconds <= LONGEST_WAIT_MILLISECONDS) await gate.pass(signal);
    await realWorld.sleep(milliseconds, signal);
  };
  process.once('disconnect', () => process.exit(0));
  process.on('message', (command: Command) => {
    if (command.do === 'go') gate.open(command.updates ?? Number.POSITIVE_INFINITY);
    else if (command.do === 'count') tell({ event: 'counted', ...gate.count });
    else stop.abort();
  });

  const socket = join(folder, 'signer.sock');
  await startSigner({
    keyFile: join(folder, 'stake.key'),
    socket,
    protectionDir: join(folder, 'protection'),
    log,
    signal: stop.signal,
  });
  const running = await startValidator({
    name,
    network,
    authority,
    identity: join(folder, 'identity.key'),
    charter,
    stateDir: join(folder, 'state'),
    signer: socket,
    listen: '/ip4/127.0.0.1/tcp/0',
    http: '127.0.0.1:0',
    blocks: '127.0.0.1:0',
    mounts,
    env: { MURMURATION_BACKEND: process.env.MURMURATION_BACKEND ?? 'wasm' },
    log,
    world: { sleep },
    signal: stop.signal,
  });
  tell({ event: 'up', addresses: running.addresses, url: running.url });
  await running.stopped;
  process.exit(0);
}

function tell(event: Event): void {
  process.send?.(event);
}
