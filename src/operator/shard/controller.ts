import { type ModelShardStatus, parseQuantity } from '../../api/index.ts';
import { shardRange } from '../../chunks/index.ts';
import { Controller, Node, Pod, type ReconcileContext, type ReconcileResult, type Stores } from '../../kube/index.ts';
import { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { isFresh } from '../network/heard.ts';
import { type Parts, paced } from '../parts.ts';
import { StatusWriter, transitions } from '../status-writer.ts';
import { keysOf, look, told, watched } from '../watched.ts';
import { isCandidate } from './candidates.ts';
import { heldOf } from './held.ts';
import type { Copy } from './holders.ts';
import type { Candidate } from './placement.ts';
import { type ShardWorld, shardStatus } from './status.ts';

const PACE_MS = 250;
const GIB = 2 ** 30;
/** A storage reputation below this makes a validator the last choice as a holder. */
const POOR = 0.25;

/** ModelShard: its holders; the one writer of its status. */
export function shardController(parts: Parts): Controller<ModelShard> {
  const writer = new StatusWriter<ModelShard, ModelShardStatus>(
    // States come and go with every version; who holds it is what the charter says.
    ({ versionCid, holders }) => [versionCid, holders?.map(({ node }) => node)],
    (_, before, next) => transitions(['Available', 'FullyReplicated'], before?.conditions, next.conditions),
  );
  const shardsOfNetwork = (stores: Stores, namespace: string, network: string) =>
    keysOf(
      look
        .modelsOf(stores, namespace, network)
        .flatMap(({ metadata }) => look.shardsOf(stores, namespace, metadata.name)),
    );
  return new Controller(ModelShard, watched.shards)
    .watches(Model, ({ metadata }, stores) => keysOf(look.shardsOf(stores, metadata.namespace ?? '', metadata.name)), {
      ...watched.models,
      on: told.version,
    })
    .watches(
      ValidatorNode,
      ({ metadata, spec }, stores) => shardsOfNetwork(stores, metadata.namespace ?? '', spec.network),
      { ...watched.nodes, on: told.node },
    )
    .reads(Pod, watched.pods)
    .reads(Node, watched.machines)
    .on(parts.view.shards)
    .run(paced(PACE_MS, parts.now, (context) => reconcileShard(context, parts, writer)));
}

async function reconcileShard(
  context: ReconcileContext,
  parts: Parts,
  writer: StatusWriter<ModelShard, ModelShardStatus>,
): Promise<ReconcileResult> {
  const { stores, key } = context;
  const shard = stores.of(ModelShard).get(key);
  if (shard === undefined || shard.metadata.deletionTimestamp !== undefined) return {};
  const world = observeShard(stores, parts, shard);
  const status = shardStatus(world);
  const afterMs = await writer.write(context, shard, status, parts.now());
  parts.metrics.observeShard(shard, status);
  return afterMs === undefined ? {} : { requeueAfterMs: afterMs };
}

/** Reads all that is known of one shard. */
function observeShard(stores: Stores, parts: Parts, shard: ModelShard): ShardWorld {
  const namespace = shard.metadata.namespace ?? '';
  const model = stores.of(Model).get({ namespace, name: shard.spec.modelRef.name });
  const network = model?.spec.network ?? '';
  const overlay = `${namespace}/${network}`;
  const now = parts.now();
  const listening = parts.view.isListening(overlay);
  const nodes = model === undefined ? [] : look.nodesOf(stores, namespace, network);
  const version = versionOf(shard, model);
  const copies = new Map<string, Copy>();
  const candidates: Candidate[] = [];
  for (const node of nodes) {
    const { name } = node.metadata;
    const heard = parts.view.heard(overlay, name);
    if (heard !== undefined && version !== undefined) {
      const held = heldOf(heard.report, version.cid);
      const [from, to] = shardRange(version.chunks, shard.spec.index, shard.spec.of);
      const chunks = held !== undefined && held.chunks === version.chunks ? held.count(from, to) : 0;
      copies.set(name, { chunks, live: isFresh(heard, now) });
    }
    if (!isCandidate(node, heard, listening, now)) continue;
    const machine = machineOf(stores, namespace, name);
    if (!isSelected(machine?.labels, shard.spec.placement.nodeSelector)) continue;
    const isHolder = shard.status?.holders?.some((holder) => holder.node === name) ?? false;
    const free = heard?.report.disk.freeBytes;
    const needs = version === undefined ? 0 : (version.bytes / Math.max(1, shard.spec.of)) * 1.1;
    candidates.push({
      node: name,
      weight: weightOf(node, heard?.reputation?.storage),
      domain: machine?.labels?.[shard.spec.placement.spread] ?? machine?.name,
      fits: isHolder || free === undefined || free >= needs,
    });
  }
  const existing = new Set(nodes.map(({ metadata }) => metadata.name));
  return { shard, now, model, version, candidates, existing, copies, listening };
}

/** The pinned version where its size is known, else the model's newest. */
function versionOf(shard: ModelShard, model: Model | undefined): ShardWorld['version'] {
  const newest = model?.status?.version;
  const pinned = shard.spec.versionCid;
  const certifiedAt = Date.parse(newest?.certifiedAt ?? '');
  if (pinned === undefined || pinned === newest?.cid) {
    if (newest === undefined) return undefined;
    return { cid: newest.cid, chunks: newest.chunks, bytes: newest.bytes, certifiedAt };
  }
  const { status } = shard;
  if (status?.versionCid !== pinned || status.chunks === undefined || newest === undefined) return undefined;
  return { cid: pinned, chunks: newest.chunks, bytes: newest.bytes, certifiedAt: 0 };
}

interface Machine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

function machineOf(stores: Stores, namespace: string, pod: string): Machine | undefined {
  const name = stores.of(Pod).get({ namespace, name: pod })?.spec?.nodeName;
  if (name === undefined) return undefined;
  return { name, labels: stores.of(Node).get({ namespace: '', name })?.metadata.labels };
}

const isSelected = (
  labels: Readonly<Record<string, string>> | undefined,
  selector: Readonly<Record<string, string>> | undefined,
): boolean => Object.entries(selector ?? {}).every(([label, value]) => labels?.[label] === value);

/** By size of the volume, in steps of a factor of two, so that it seldom changes; little for one that failed challenges. */
function weightOf(node: ValidatorNode, storage: number | undefined): number {
  const size = 2 ** Math.round(Math.log2(Math.max(2 ** -4, parseQuantity(node.spec.storage.size) / GIB)));
  return storage !== undefined && storage < POOR ? size / 16 : size;
}
