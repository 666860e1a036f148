// Content-addressed blocks: the store on disk, manifests and versions, buffer maps, the swarm that fetches and serves them,
// storage challenges, and which blocks may be dropped. Of ours it imports codec and disk; the network is passed in.
// Anything exported here may be imported by the validator and the operator; files beside this one are private.

export * from './block.ts';
export * from './buffer-map.ts';
export * from './challenge.ts';
export { cidOf, DAG_CBOR, isBlockCid, matches, parseBlockCid, RAW } from './cid.ts';
export { type Clock, realClock } from './clock.ts';
export * from './errors.ts';
export * from './fetcher.ts';
export * from './holdings.ts';
export * from './manifest.ts';
export type { ChunkNetwork, FetchOutcome, Misbehaviour } from './network.ts';
export * from './retention.ts';
export * from './store.ts';
export type { Unit } from './swarm/download.ts';
export { CHUNKS_PROTOCOL, MAX_CHUNKS_FRAME_BYTES } from './swarm/messages.ts';
export * from './swarm/swarm.ts';
export * from './version.ts';
