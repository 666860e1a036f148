// The kinds as zod schemas: the one source of TypeScript types, of crds/*.yaml, of defaults and of their docs.
// A schema and its type share a name: `ValidatorNode.parse(json)` gives a `ValidatorNode`, defaults filled in.
// May be imported by every room; imports nothing of ours. generate.ts writes crds/ and is no part of the API.
export * from './conditions.ts';
export { durationText } from './duration.ts';
export { changeProblems, KINDS, type Kind, type KindName } from './kinds.ts';
export { FILE_PATH, ObjectMeta, OwnerReference } from './metadata.ts';
export * from './model.ts';
export { type Architecture, type ArchitectureSource, LAYERS, Layers, PRESETS } from './model-architecture.ts';
export { BUILTIN_DATA, type BuiltinData, type DataSource, type ModelData } from './model-data.ts';
export type { Learning, Target } from './model-learning.ts';
export * from './model-shard.ts';
export type { ModelUsers } from './model-users.ts';
export * from './names.ts';
export { isQuantity, parseQuantity, toDecimal } from './quantity.ts';
export * from './stake-key-reservation.ts';
export { isClearlyShort, judgeTarget, meets, SHORT_FOR_MS, type Standing } from './target.ts';
export * from './user-entry.ts';
export * from './validator-fleet.ts';
export * from './validator-node.ts';
