/** What providers are looked up by: one place, so that who tells and who asks mean the same. */
export const providerKey = {
  /** Who learns a model, by its uid. */
  model: (uid: string): string => `model/${uid}`,
  /** Who takes data or models of users of a model, and has room: the "data market". */
  data: (uid: string): string => `data/${uid}`,
  /** Who has the manifest of a version and at least one of its chunks, by the manifest's CID. */
  version: (cid: string): string => `version/${cid}`,
  /** Who has every chunk of a shard, of the newest certified version or of the one that it is pinned to. */
  shard: (uid: string, index: number, of: number): string => `shard/${uid}/${index}/${of}`,
  /** All validators of the network: with it any member finds one. */
  validators: 'validators',
} as const;

/** Most keys that one peer tells at a time. A record is told again to up to 20 peers every few minutes: the DHT is small. */
export const maxProvidedKeys = 64;
