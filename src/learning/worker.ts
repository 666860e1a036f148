import { parentPort, workerData } from 'node:worker_threads';
import { loadBackend } from './backend.ts';
import type { LearnerLog } from './contract.ts';
import { Engine } from './engine.ts';
import { type Report, type Request, toWire, type WorkerInit } from './protocol.ts';

/** The training worker: an Engine behind a message port. Started by learner.ts, imported by nobody. */
const port = parentPort;
if (port === null) throw new Error('worker.ts runs as a worker thread only: use createLearner.');

const report = (what: Report): void => port.postMessage(what);
const log: LearnerLog = (...entry) => report({ kind: 'log', entry });

function perform(engine: Engine, request: Request): unknown {
  switch (request.operation) {
    case 'update':
      return engine.update();
    case 'message':
      return engine.message(...request.arguments);
    case 'merge':
      return engine.merge(...request.arguments);
    case 'frame':
      return engine.frame();
    case 'blend':
      return engine.blend(...request.arguments);
    case 'adopt':
      return engine.adopt(...request.arguments);
    case 'evaluate':
      return engine.evaluate();
    case 'snapshot':
      return engine.snapshot();
    case 'load':
      return engine.load(...request.arguments);
    case 'score':
      return engine.score(...request.arguments);
    case 'predict':
      return engine.predict(...request.arguments);
    case 'repartition':
      return engine.repartition(...request.arguments);
    case 'lend':
      return engine.lend(...request.arguments);
  }
}

try {
  const init = workerData as WorkerInit;
  const backend = await loadBackend(init.backend, log);
  const engine = await Engine.create(backend, init);
  // Messages that came before this line wait in the port.
  port.on('message', (request: Request) => {
    try {
      report({ kind: 'done', id: request.id, result: perform(engine, request) });
    } catch (error) {
      report({ kind: 'failed', id: request.id, error: toWire(error) });
    }
  });
  report({ kind: 'ready', backend: backend.name, maxMessageBytes: engine.maxMessageBytes, input: engine.input });
} catch (error) {
  report({ kind: 'unready', error: toWire(error) });
  port.close();
}
