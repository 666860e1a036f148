import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Every metric of a validator process, declared in one place. Names: `murmuration_<noun>_<unit>[_total]`. */
export type ValidatorMetrics = ReturnType<typeof createValidatorMetrics>;

/** Makes the metrics of one validator on a registry of their own. */
export function createValidatorMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const model = ['model'] as const;
  return {
    registry,
    peers: new Gauge({ name: 'murmuration_peers_count', help: 'Members connected after a hello.', registers }),
    charterSeq: new Gauge({
      name: 'murmuration_charter_seq',
      help: 'Sequence number of the charter in force.',
      registers,
    }),
    updates: new Gauge({
      name: 'murmuration_model_updates_count',
      help: 'Age of the model: local updates that it has seen.',
      labelNames: model,
      registers,
    }),
    loss: new Gauge({
      name: 'murmuration_model_loss_ratio',
      help: 'Mean cross-entropy on the held-out rows, in nats.',
      labelNames: model,
      registers,
    }),
    accuracy: new Gauge({
      name: 'murmuration_model_accuracy_ratio',
      help: 'Share of the held-out rows that are classified right, 0..1.',
      labelNames: model,
      registers,
    }),
    divergence: new Gauge({
      name: 'murmuration_model_divergence_ratio',
      help: 'Distance to the models that neighbours sent, relative to the norm of the own one (moving mean).',
      labelNames: model,
      registers,
    }),
    certifiedUpdates: new Gauge({
      name: 'murmuration_version_updates_count',
      help: 'Age of the newest certified version that this validator knows.',
      labelNames: model,
      registers,
    }),
    exchanges: new Counter({
      name: 'murmuration_exchanges_total',
      help: 'Models sent to or received from a neighbour, by direction and outcome.',
      labelNames: ['model', 'direction', 'outcome'] as const,
      registers,
    }),
    exchangeBytes: new Counter({
      name: 'murmuration_exchange_bytes_total',
      help: 'Bytes of models that were sent to or received from neighbours, by direction; after compression.',
      labelNames: ['model', 'direction'] as const,
      registers,
    }),
    checkpoints: new Counter({
      name: 'murmuration_checkpoints_total',
      help: 'Checkpoints of a model: saved, failed (could not be written), and unusable (torn or changed, found at a start).',
      labelNames: ['model', 'outcome'] as const,
      registers,
    }),
    updateSeconds: new Histogram({
      name: 'murmuration_update_seconds',
      help: 'Time of one local update (localSteps mini-batches).',
      labelNames: model,
      // From a tiny model on wasm (about 5 ms) to a network that takes seconds a step.
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    chunks: new Gauge({
      name: 'murmuration_chunks_count',
      help: 'Chunks of kept versions, by state: assigned to this validator by the charter, or held.',
      labelNames: ['state'] as const,
      registers,
    }),
    storedBytes: new Gauge({ name: 'murmuration_chunks_bytes', help: 'Bytes in the chunk store.', registers }),
    scrubbedChunks: new Counter({
      name: 'murmuration_chunks_scrubbed_total',
      help: 'Files of the chunk store that were read and hashed to see that they are sound.',
      registers,
    }),
    corruptChunks: new Counter({
      name: 'murmuration_chunks_corrupt_total',
      help: 'Of the scrubbed files those whose bytes were not what their name says; they are removed.',
      registers,
    }),
    scrubAgeSeconds: new Gauge({
      name: 'murmuration_chunks_scrub_age_seconds',
      help: 'Time since every file of the chunk store was looked at; no line before the first time.',
      registers,
    }),
    swarmBytes: new Counter({
      name: 'murmuration_swarm_bytes_total',
      help: 'Bytes of chunks exchanged with peers: sent, received, and of the received those that were here already (duplicate) or not what was asked for (wrong).',
      labelNames: ['kind'] as const,
      registers,
    }),
    userRows: new Gauge({
      name: 'murmuration_user_rows_count',
      help: 'Rows of users that this validator keeps and trains on.',
      labelNames: model,
      registers,
    }),
    userQuestions: new Counter({
      name: 'murmuration_user_questions_total',
      help: "Users' questions, by kind (offer, data, model, weights, forget) and outcome: ok, or why they were refused.",
      labelNames: ['model', 'question', 'outcome'] as const,
      registers,
    }),
    votes: new Counter({
      name: 'murmuration_votes_total',
      help: 'Proposals judged by this validator, by verdict.',
      labelNames: ['model', 'verdict'] as const,
      registers,
    }),
    reputation: new Gauge({
      name: 'murmuration_peer_reputation_ratio',
      help: 'What this validator holds of a peer, by part (score, storage, learning, interactions), 0..1.',
      labelNames: ['peer', 'part'] as const,
      registers,
    }),
    problems: new Gauge({
      name: 'murmuration_problems_count',
      help: 'Problems that a person should mend, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}
