// The user's side of a network: finds validators in the DHT, trains on its own rows, seals them to chosen validators and sends
// compressed models; and the words of the protocol that both sides speak. A library: `murmur user` and others' programs use it.
// Of ours it imports api, codec, learning and overlay; import it through this file, or as `murmuration/user`.
export * from './choose.ts';
export * from './errors.ts';
export * from './protocol.ts';
export * from './rows.ts';
export * from './seal.ts';
export * from './user.ts';
