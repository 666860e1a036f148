import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { deal } from './data.ts';
import { BATCH_SIZE, type Run } from './runs.ts';

const PYTHON = join(import.meta.dirname, '..', 'flower');
/** Units of the hidden layer of preset mlp, see src/learning/architecture.ts. */
const HIDDEN = 32;
/** No telemetry; one thread a process, as our processes train with one. */
const ENVIRONMENT = {
  FLWR_TELEMETRY_ENABLED: '0',
  OMP_NUM_THREADS: '1',
  OPENBLAS_NUM_THREADS: '1',
  MKL_NUM_THREADS: '1',
};

/** What a run of Flower came to. */
export interface FlowerOutcome {
  /** Of the averaged model on the rows held out. */
  readonly accuracy: number;
  /** From the first round to the end of the last. */
  readonly seconds: number;
  /** Of models as they are serialised, both ways. */
  readonly bytes: number;
}

/**
 * A Python that has Flower, in a virtual environment of the cache folder: see flower.sh, which says its progress.
 * @returns path of the interpreter
 */
function flowerPython(): string {
  const { status, stdout } = spawnSync('bash', [join(PYTHON, 'flower.sh')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const path = stdout.trim();
  if (status !== 0 || path === '') throw new Error('Flower cannot be had (see above); --flower none runs without it');
  return path;
}

export interface FlowerOptions {
  readonly run: Run;
  readonly model: CharterModel;
  readonly clients: number;
  readonly folder: string;
  readonly mounts: string;
  readonly signal: AbortSignal;
}

/** Federated averaging by Flower: a server and so many clients in processes of their own, one round for each update of a run. */
export async function flower(options: FlowerOptions): Promise<FlowerOutcome> {
  const { run, model, clients, folder, mounts, signal } = options;
  const python = flowerPython();
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'config.json');
  const given = {
    ...(await deal(model, clients, mounts, folder, signal)),
    address: `127.0.0.1:${await freePort()}`,
    rounds: run.updates,
    localSteps: run.localSteps,
    batchSize: BATCH_SIZE,
    learningRate: Number(run.learningRate),
    hidden: HIDDEN,
    classes: model.spec.data.classes,
  };
  writeFileSync(config, JSON.stringify(given));
  const logs = ['server', ...given.parts.map((_, at) => `client-${at}`)].map((name) => join(folder, `${name}.log`));
  const [ofServer = '', ...ofClients] = logs;
  const children: ChildProcess[] = [];
  const start = (script: string, log: string, ...more: string[]): ChildProcess => {
    const file = openSync(log, 'w');
    const child = spawn(python, [join(PYTHON, script), config, ...more], {
      env: { ...process.env, ...ENVIRONMENT },
      stdio: ['pipe', 'pipe', file], // it ends when its stdin does
      signal,
    });
    closeSync(file);
    child.on('error', () => undefined); // its end is told below
    children.push(child);
    return child;
  };
  try {
    const server = start('server.py', ofServer);
    let blamed = ofServer;
    ofClients.forEach((log, at) => {
      const client = start('client.py', log, String(at));
      client.stdout?.resume();
      client.once('exit', (code) => {
        if (code === 0) return;
        blamed = log;
        server.kill();
      });
    });
    let said = '';
    for await (const text of server.stdout?.setEncoding('utf8') ?? []) said += text;
    const line = said.trim().split('\n').at(-1) ?? '';
    if (!line.startsWith('{')) throw new Error(`Flower ended without a result:\n${endOf(blamed)}`);
    return JSON.parse(line) as FlowerOutcome;
  } finally {
    for (const child of children) child.kill();
    signal.throwIfAborted();
  }
}

const endOf = (file: string): string => readFileSync(file, 'utf8').trim().split('\n').slice(-10).join('\n');

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address === 'object' && address !== null) return address.port;
  throw new Error('the system gave no port');
}
