// Stake keys and the signer that keeps them, slashing protection, votes and certificates and how a version comes to have one,
// evidence of double votes, reputation. Of ours it imports codec and disk; network and time are passed in.
// Anything exported here may be imported by the validator, the operator and the cli; files beside this one are private.
export * from './certificate.ts';
export * from './certifier.ts';
export * from './certifier-parts.ts';
export * from './evidence.ts';
export * from './messages.ts';
export * from './proposer-order.ts';
export * from './protection.ts';
export * from './quorum.ts';
export * from './reputation.ts';
export * from './signer.ts';
export * from './signer-api.ts';
export * from './signer-client.ts';
export { type SignerServerOptions, type Signing, signerServer } from './signer-server.ts';
export * from './stake-key.ts';
export * from './tally.ts';
export { type SignedVote, type Vote, verifyVote, voteDigest } from './vote.ts';
