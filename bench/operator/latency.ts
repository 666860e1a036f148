import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, round, spread } from '../figures.ts';
import type { Row } from './figures.ts';
import { answers, change, type Herd } from './herd.ts';

/** Changes a second of a load that goes on while one person's change is timed. */
const LOAD_PER_S = 25;
const PROBES_PER_S = 5;
const PROBES = 300;
const ANSWER_MS = 10_000;

/**
 * From a person's change (the API server has said yes) until the operator's first write for it is seen by a watch. The
 * way of that write through the API server and back to the watch counts too.
 */
export async function latency(herd: Herd, tell: (line: string) => void): Promise<readonly Row[]> {
  const { watch, operator, names } = herd;
  const half = Math.floor(names.length / 2);
  const loaded = names.slice(0, half);
  const probed = names.slice(half);
  const asked = new Map<string, { readonly generation: number; readonly at: number }>();
  const early = new Map<string, { readonly generation: number; readonly at: number }>();
  const waits: number[] = [];
  const undo = watch.onNode((node) => {
    const { name } = node.metadata;
    const now = performance.now();
    const probe = asked.get(name);
    const generation = node.status?.observedGeneration ?? 0;
    // The watch may be faster than the answer to the person.
    if (probe === undefined) early.set(name, { generation, at: now });
    else if (answers(node, probe.generation)) {
      waits.push(now - probe.at);
      asked.delete(name);
    }
  });
  const stop = new AbortController();
  const [cpu, started] = [await operator.cpu(), performance.now()];
  let changes = 0;
  const load = (async () => {
    for (; !stop.signal.aborted; changes += 1) {
      const name = loaded[changes % loaded.length] ?? '';
      void change(herd, name, Math.floor(changes / loaded.length) % 2 === 0 ? 'Retain' : 'Delete').catch(
        () => undefined,
      );
      await sleep(1000 / LOAD_PER_S, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  const probes = Math.min(PROBES, probed.length);
  for (let at = 0; at < probes; at += 1) {
    const name = probed[at] ?? '';
    void (async () => {
      const { metadata } = await change(herd, name, 'Retain');
      const generation = metadata.generation ?? 0;
      const now = performance.now();
      const seen = early.get(name);
      if (seen !== undefined && seen.generation >= generation) waits.push(Math.max(0, seen.at - now));
      else asked.set(name, { generation, at: now });
    })();
    // Not in step with the load.
    await sleep((1000 / PROBES_PER_S) * (0.5 + Math.random()));
  }
  const deadline = performance.now() + ANSWER_MS;
  while (waits.length < probes && performance.now() < deadline) await sleep(20);
  stop.abort();
  await load;
  undo();
  const seconds = (performance.now() - started) / 1000;
  const used = ((await operator.cpu()) - cpu) / seconds;
  if (waits.length < probes) throw new Error(`${probes - waits.length} of ${probes} changes were not answered`);
  tell(`  ${waits.length} changes: ${spread(waits)} ms, longest ${Math.max(...waits).toFixed(0)} ms`);
  return [
    {
      name: 'event_to_write_p99_ms',
      value: round(quantile(waits, 0.99)),
      unit: 'ms',
      peer: 'Strimzi, 300 resources',
      peerValue: 62.5,
      ratio: round(quantile(waits, 0.99) / 62.5),
      detail:
        `${waits.length} changes among ${names.length} validators: ${spread(waits)} ms; load: ${(changes / seconds).toFixed(0)} other ` +
        `changes/s; operator ${(100 * used).toFixed(0)} % of a core`,
    },
  ];
}
