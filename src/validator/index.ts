// The validator pod's composition root: wires overlay, chunks, learning and trust into one peer that learns, votes,
// holds chunks and answers over HTTP. It decides nothing that a room below could decide.
// The command line imports it; nobody else does.
export type { ValidatorOptions } from './options.ts';
export { type RunningValidator, startValidator } from './start.ts';
