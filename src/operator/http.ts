import Fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { Health } from '../kube/index.ts';

/** What the servers show. */
export interface HttpParts {
  readonly registry: Registry;
  /** Brings the metrics up to date, before each answer. */
  readonly refresh: () => void;
  readonly healthz: () => Health;
  readonly readyz: () => Health;
}

/** Where they listen: `host:port`, `:port` for every interface, or `0` for nowhere. */
export interface Addresses {
  readonly metrics: string;
  readonly health: string;
}

/** Running servers. */
export interface Http {
  /** `host:port` with the real port; undefined where nothing listens. */
  readonly metrics: string | undefined;
  readonly health: string | undefined;
  close(): Promise<void>;
}

/**
 * Serves `/metrics` on one address, `/healthz` and `/readyz` on another.
 * @throws where an address cannot be listened on; then nothing listens
 */
export async function serveHttp(parts: HttpParts, addresses: Addresses): Promise<Http> {
  const metrics = server();
  metrics.get('/metrics', async (_, reply) => {
    parts.refresh();
    return reply.type(parts.registry.contentType).send(await parts.registry.metrics());
  });
  const health = server();
  for (const [path, check] of [
    ['/healthz', parts.healthz],
    ['/readyz', parts.readyz],
  ] as const) {
    health.get(path, async (_, reply) => {
      const { ok, problems } = check();
      return reply.code(ok ? 200 : 503).send(ok ? 'ok\n' : `${problems.join('\n')}\n`);
    });
  }
  const close = async (): Promise<void> => void (await Promise.all([metrics.close(), health.close()]));
  try {
    const [metricsAt, healthAt] = [await listen(metrics, addresses.metrics), await listen(health, addresses.health)];
    return { metrics: metricsAt, health: healthAt, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const server = (): FastifyInstance =>
  Fastify({ logger: false, bodyLimit: 1024, requestTimeout: 10_000, forceCloseConnections: true });

async function listen(on: FastifyInstance, address: string): Promise<string | undefined> {
  if (address === '0') return undefined;
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new TypeError(`"${address}" is no address to listen on: write host:port, :port, or 0 for nowhere`);
  }
  const url = await on.listen({ host: host === '' ? '0.0.0.0' : host, port });
  return url.replace('http://', '');
}
