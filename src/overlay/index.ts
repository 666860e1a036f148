// The peer-to-peer layer that validator and operator both speak: identity, charter, membership, gossip, requests, DHT.
// Everything from a peer is hostile until checked, every read has a limit and a deadline, who is no member gets no protocol.
// Of ours it imports api (types), codec and disk; import it through this file.
export * from './charter.ts';
export * from './charter-store.ts';
export * from './identity.ts';
export * from './messages.ts';
export * from './overlay.ts';
export * from './provider-keys.ts';
export * from './request-error.ts';
export * from './signed-charter.ts';
export * from './types.ts';
