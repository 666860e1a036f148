import type { IncomingMessage } from 'node:http';

export type Verb = 'list' | 'watch' | 'read' | 'write';

/** A request to the API server, in its terms. */
export interface Asked {
  readonly verb: Verb;
  readonly method: string;
  /** Path and query; the host means nothing. */
  readonly url: URL;
  /** Plural, lower-case. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** Who asks: its User-Agent and port. */
  readonly client: string;
}

/** Reads what a request asks for out of its line and headers. */
export function askedBy(request: IncomingMessage): Asked {
  const { method = 'GET' } = request;
  const url = new URL(request.url ?? '/', 'http://proxy');
  const steps = url.pathname.split('/').filter((step) => step !== '');
  const rest = steps.slice(steps[0] === 'api' ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [resource = '', name, subresource] = inNamespace ? rest.slice(2) : rest;
  const watches = ['1', 'true'].includes(url.searchParams.get('watch') ?? '');
  const reads = watches ? 'watch' : name === undefined ? 'list' : 'read';
  // A rehearsal writes nothing.
  const writes = method !== 'GET' && !url.searchParams.has('dryRun');
  return {
    verb: writes ? 'write' : reads,
    method,
    url,
    resource,
    namespace: inNamespace ? rest[1] : undefined,
    name,
    subresource,
    client: `${request.headers['user-agent'] ?? 'unknown'}:${request.socket.remotePort ?? 0}`,
  };
}
