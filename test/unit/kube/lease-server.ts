import type { Transport, TransportAnswer, TransportRequest } from '../../../src/kube/index.ts';

/** Just enough of an API server for one Lease: get, create, replace with a version check. In memory, without time. */
export class LeaseServer {
  lease: { metadata: { resourceVersion: string; uid: string }; spec: Record<string, unknown> } | undefined;
  writes = 0;
  #version = 0;

  /** A way to the server, which can be cut. */
  transport(): Transport & { cut: boolean; loseAnswers: boolean } {
    const way = {
      host: 'memory',
      cut: false,
      loseAnswers: false,
      refreshCredentials() {},
      close: async () => undefined,
      request: async (request: TransportRequest): Promise<TransportAnswer> => {
        if (way.cut) return hangUntilAborted(request.signal);
        const answer = this.#answer(request);
        if (way.loseAnswers) throw new Error('reset');
        return answer;
      },
    };
    return way;
  }

  #answer(request: TransportRequest): TransportAnswer {
    if (request.method === 'GET') return this.lease === undefined ? failure(404, 'NotFound') : success(this.lease);
    const body = JSON.parse(request.body ?? '');
    if (request.method === 'POST' && this.lease !== undefined) return failure(409, 'AlreadyExists');
    if (request.method === 'PUT' && body.metadata.resourceVersion !== this.lease?.metadata.resourceVersion)
      return failure(409, 'Conflict');
    this.writes += 1;
    this.#version += 1;
    this.lease = { ...body, metadata: { ...body.metadata, uid: 'u', resourceVersion: String(this.#version) } };
    return success(this.lease);
  }
}

const success = (body: unknown) => answer(200, body);
const failure = (code: number, reason: string) => answer(code, { kind: 'Status', code, reason, message: reason });

function answer(status: number, body: unknown): TransportAnswer {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    status,
    retryAfter: undefined,
    body: (async function* () {
      yield bytes;
    })(),
  };
}

function hangUntilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
