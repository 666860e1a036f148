import type { TestApi } from '../../test/apiserver/harness.ts';
import { samplesOf } from './exposition.ts';

/** Writes by what they are to: `POST secrets`, `PATCH validatornodes/status`. */
export type Writes = ReadonlyMap<string, number>;

const VERBS = new Set(['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION']);

/** Every write that the API server has answered since it started, whoever sent it: its own count. */
export async function writesSeen(api: TestApi): Promise<Writes> {
  const { body } = await api.call('GET', '/metrics', undefined, undefined, 'text/plain');
  const writes = new Map<string, number>();
  for (const { labels, value } of samplesOf(String(body), 'apiserver_request_total')) {
    const { verb = '', resource = '', subresource = '' } = labels;
    if (!VERBS.has(verb)) continue;
    const what = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    writes.set(what, (writes.get(what) ?? 0) + value);
  }
  return writes;
}

/** What was written between two looks, without what an API server or a stand-by does by itself (leases). */
export function writesBetween(before: Writes, after: Writes): Writes {
  const between = [...after]
    .map(([what, count]) => [what, count - (before.get(what) ?? 0)] as const)
    .filter(([what, count]) => count > 0 && !what.endsWith(' leases'));
  return new Map(between.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const total = (writes: Writes): number => [...writes.values()].reduce((all, count) => all + count, 0);

/** The writes without those of some kind, such as events. */
export const without = (writes: Writes, resource: string): Writes =>
  new Map([...writes].filter(([what]) => !what.endsWith(` ${resource}`)));

export const writesText = (writes: Writes): string =>
  writes.size === 0 ? 'none' : [...writes].map(([what, count]) => `${what} ${count}`).join(', ');
