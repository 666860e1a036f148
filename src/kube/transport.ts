import type { RequestOptions } from 'node:https';
import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import type { ClusterConfig } from './cluster-config.ts';
import type { Clock } from './time.ts';

/** One HTTP request, without any knowledge of Kubernetes. */
export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Aborting it ends the request and its answer's body. */
  readonly signal: AbortSignal;
  /** A watch: kept away from the connections of short requests. */
  readonly streaming: boolean;
  /**
   * Called in the moment before the first byte leaves, however long the request waited for a connection. When it throws,
   * nothing is sent and the request fails with what it threw.
   */
  readonly gate?: (() => void) | undefined;
}

export interface TransportAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Moves bytes to one cluster. Injectable: a test may stand in for the network. */
export interface Transport {
  /** Host and port, for metrics. */
  readonly host: string;
  request(request: TransportRequest): Promise<TransportAnswer>;
  /** Called on a 401: credentials are read anew for the next request. */
  refreshCredentials(): void;
  close(): Promise<void>;
}

export interface HttpTransportInit {
  readonly config: ClusterConfig;
  readonly clock: Clock;
  /** Connections for short requests; more requests wait their turn. Default 32. */
  readonly connections?: number | undefined;
  /** Credentials and CA are re-read this often (token rotation). ms, default 60 000. */
  readonly credentialsMs?: number | undefined;
}

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatchers: { readonly short: Dispatcher; readonly streams: Dispatcher };
  /** What the connections were made from: when it changes, new connections are made. */
  readonly material: string;
  readonly readAt: number;
}

/**
 * undici over a ClusterConfig, which says who we are and whom we trust (in-cluster token, exec, OIDC, client
 * certificates); the connections are ours and shared by everything that speaks to this cluster. HTTP/1.1: a watch has a
 * connection of its own, so that one stuck stream stalls nothing else.
 */
export class HttpTransport implements Transport {
  readonly host: string;
  readonly #init: HttpTransportInit;
  readonly #origin: string;
  readonly #basePath: string;
  #credentials: Promise<Credentials> | undefined;
  #current: Credentials | undefined;

  constructor(init: HttpTransportInit) {
    const server = init.config.getCurrentCluster()?.server;
    if (server === undefined) {
      throw new Error(
        `the kubeconfig has no cluster for its current context "${init.config.getCurrentContext()}". Choose one with: kubectl config use-context`,
      );
    }
    const url = new URL(server);
    this.#init = init;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/$/, '');
    this.host = url.host;
  }

  async request(request: TransportRequest): Promise<TransportAnswer> {
    const { headers, dispatchers } = await this.#fresh();
    request.signal.throwIfAborted();
    const asking = (request.streaming ? dispatchers.streams : dispatchers.short).request({
      origin: this.#origin,
      path: this.#basePath + request.path,
      method: request.method,
      headers: { ...headers, ...request.headers },
      body: request.body ?? null,
      signal: request.signal,
      // undici would close the connection after a DELETE that has a body.
      reset: false,
      // Every deadline is the caller's, on the caller's clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      gate: request.gate,
    } as Dispatcher.RequestOptions);
    const answer = await unlessAborted(asking, request.signal);
    const retryAfter = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      body: answer.body,
    };
  }

  refreshCredentials(): void {
    this.#credentials = undefined;
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    this.#credentials = undefined;
    await Promise.all([current?.dispatchers.short.destroy(), current?.dispatchers.streams.destroy()]);
  }

  #fresh(): Promise<Credentials> {
    const age = this.#current === undefined ? 0 : this.#init.clock.monotonic() - this.#current.readAt;
    if (this.#credentials === undefined || age > (this.#init.credentialsMs ?? 60_000)) {
      const reading = this.#read();
      this.#credentials = reading;
      reading.catch(() => {
        if (this.#credentials === reading) this.#credentials = undefined;
      });
      // Two readers at once would make two sets of connections.
      if (this.#current !== undefined) this.#current = { ...this.#current, readAt: this.#init.clock.monotonic() };
    }
    return this.#credentials;
  }

  async #read(): Promise<Credentials> {
    const { config, clock } = this.#init;
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
    if (typeof options.auth === 'string') {
      headers.Authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    }
    const tls = {
      ca: options.ca,
      cert: options.cert,
      key: options.key,
      rejectUnauthorized: options.rejectUnauthorized,
      servername: options.servername,
    };
    const material = JSON.stringify(tls, (_, value: unknown) =>
      Buffer.isBuffer(value) ? value.toString('base64') : value,
    );
    const before = this.#current;
    const dispatchers = before?.material === material ? before.dispatchers : this.#connect(tls);
    if (before !== undefined && before.dispatchers !== dispatchers) {
      // What is under way ends on the old connections; nothing new starts there.
      void before.dispatchers.short.close();
      void before.dispatchers.streams.close();
    }
    this.#current = { headers, dispatchers, material, readAt: clock.monotonic() };
    return this.#current;
  }

  #connect(
    tls: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>,
  ): Credentials['dispatchers'] {
    const known = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    const connect = { ...known, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: 10_000 };
    const proxy = this.#init.config.getCurrentCluster()?.proxyUrl;
    if (proxy !== undefined) {
      if (!proxy.startsWith('http')) {
        throw new Error(`proxy-url ${proxy} of the kubeconfig: only http and https proxies are supported`);
      }
      const agent = new ProxyAgent({ uri: proxy, requestTls: known, allowH2: false });
      return { short: agent.compose(gated), streams: agent };
    }
    const keep = { keepAliveTimeout: 60_000, pipelining: 1, allowH2: false, connect };
    return {
      short: new Pool(this.#origin, { ...keep, connections: this.#init.connections ?? 32 }).compose(gated),
      streams: new Pool(this.#origin, { ...keep, connections: null }),
    };
  }
}

/** undici hears the signal only once a connection is there; a connection that is never made must not hold the caller up. */
async function unlessAborted<T>(asking: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([asking, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** undici calls `onRequestStart` when a connection is there and right before it writes to it. */
const gated: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { gate } = options as { readonly gate?: () => void };
  if (gate === undefined) return dispatch(options, handler);
  const start = handler.onRequestStart?.bind(handler);
  handler.onRequestStart = (...request) => {
    gate();
    start?.(...request);
  };
  return dispatch(options, handler);
};
