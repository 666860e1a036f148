// Content-addressed blocks: the store on disk, manifests and versions, buffer maps, the swarm that fetches and serves them,
// storage challenges, and which blocks may be dropped. Of ours it imports codec and disk; the network is passed in.
// Anything exported here may be imported by the validator and the operator; files beside this one are private.
export * from './buffer-map.ts';
export * from './challenge.ts';
export { cidOf, DAG_CBOR, isBlockCid, matches, parseBlockCid, RAW } from './cid.ts';
export { type Clock, realClock } from './clock.ts';
export * from './errors.ts';
export * from './exchange.ts';
export * from './fetch-source.ts';
export * from './fetcher.ts';
export * from './holdings.ts';
export * from './manifest.ts';
export * from './retention.ts';
export * from './server.ts';
export * from './store.ts';
export * from './version.ts';
