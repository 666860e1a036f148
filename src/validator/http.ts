import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import { BadInputError, LearnerStoppedError } from '../learning/index.ts';
import type { Catalog } from './catalog.ts';
import type { Curves } from './curves.ts';

/** A model as the HTTP server sees it. */
export interface ServedModel {
  readonly name: string;
  /** The version that answers: age of the model, as TensorFlow Serving's integer version. */
  readonly age: number;
  /** Why it cannot answer yet; absent: it can. */
  readonly unavailable?: string;
  /** Class probabilities, one row an instance. @throws BadInputError */
  predict(instances: readonly (readonly number[])[]): Promise<number[][]>;
}

export interface HttpParts {
  readonly metrics: Registry;
  /** Called before metrics are read, to bring gauges up to date. */
  readonly refresh: () => void;
  /** Why the validator is not ready; undefined: it is. */
  readonly notReady: () => string | undefined;
  readonly status: () => unknown;
  readonly model: (name: string) => ServedModel | undefined;
  readonly catalog: Pick<Catalog, 'find' | 'certificate'>;
  /** Learning curve of a model here, a bounded number of points; undefined where it is not learned here. */
  readonly history: (name: string) => ReturnType<Curves['of']>;
}

const mib = 1024 * 1024;

/** TensorFlow Serving's row format: `{"instances": [[...], ...]}`; the column format (`inputs`) is not served. */
const PredictRequest = z.object({
  signature_name: z.string().max(128).optional(),
  instances: z.array(z.array(z.number()).max(1_000_000)).min(1).max(4096),
});

/** `?q=` of the search index: words to find models by. */
const SearchQuery = z.object({ q: z.string().max(256).default('') });
/** `?version=` of a certificate: CID of the version. */
const CertificateQuery = z.object({ version: z.string().max(128).optional() });

/**
 * Health, metrics, status, search and serving of one validator.
 * Prediction follows TensorFlow Serving's REST API: `GET /v1/models/<name>`, `POST /v1/models/<name>:predict`.
 */
export function createHttp(parts: HttpParts): FastifyInstance {
  const http = createServer();
  // A body is JSON whatever it is called, as TensorFlow Serving has it: `curl -d` names it a form.
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('*', { parseAs: 'string' }, http.getDefaultJsonParser('error', 'error'));
  serveState(http, parts);
  serveCatalog(http, parts.catalog);
  serveHistory(http, parts.history);
  servePredictions(http, parts.model);
  return http;
}

/** A server that has nothing yet. Every body of an error is {"error": "..."}, as TensorFlow Serving's. */
export function createServer(): FastifyInstance {
  const http = Fastify({ logger: false, bodyLimit: 4 * mib, requestTimeout: 30_000, forceCloseConnections: true });
  http.setNotFoundHandler((request, reply) =>
    refuse(reply, 404, `Nothing is served at ${request.method} ${request.url.slice(0, 200)}.`),
  );
  http.setErrorHandler<Error & { readonly statusCode?: number }>((error, _request, reply) =>
    refuse(reply, error.statusCode ?? 500, error.message),
  );
  return http;
}

const refuse = (reply: FastifyReply, code: number, error: string): FastifyReply => reply.code(code).send({ error });

function serveState(http: FastifyInstance, parts: HttpParts): void {
  http.get('/healthz', async () => 'ok\n');
  http.get('/readyz', async (_request, reply) => {
    const why = parts.notReady();
    return why === undefined ? 'ok\n' : reply.code(503).send(`${why}\n`);
  });
  http.get('/metrics', async (_request, reply) => {
    parts.refresh();
    return reply.type(parts.metrics.contentType).send(await parts.metrics.metrics());
  });
  http.get('/status', async () => parts.status());
}

function serveCatalog(http: FastifyInstance, catalog: HttpParts['catalog']): void {
  http.get('/v1/models', async (request, reply) => {
    const query = SearchQuery.safeParse(request.query);
    if (!query.success) return refuse(reply, 400, 'q must be one text of at most 256 characters.');
    return { models: catalog.find(query.data.q) };
  });
  http.get<{ Params: { name: string } }>('/v1/models/:name/certificate', async (request, reply) => {
    const { name } = request.params;
    const query = CertificateQuery.safeParse(request.query);
    if (!query.success) return refuse(reply, 400, 'version must be one CID.');
    const { version } = query.data;
    const answer = catalog.certificate(name, version);
    if (answer !== undefined) return answer;
    const what = version === undefined ? 'certified version' : `certificate of version ${version}`;
    return refuse(reply, 404, `No ${what} of a model "${name}" is known here (yet).`);
  });
}

/** `GET /v1/models/<name>/history`: how a model learned here, oldest first. */
function serveHistory(http: FastifyInstance, history: HttpParts['history']): void {
  http.get<{ Params: { name: string } }>('/v1/models/:name/history', async (request, reply) => {
    const { name } = request.params;
    const known = history(name);
    return known === undefined
      ? refuse(reply, 404, noSuchModel(name))
      : { model: { name, uid: known.uid }, points: known.points };
  });
}

function servePredictions(http: FastifyInstance, served: HttpParts['model']): void {
  http.get<{ Params: { name: string } }>('/v1/models/:name', async (request, reply) => {
    const model = served(request.params.name);
    if (model === undefined) return refuse(reply, 404, noSuchModel(request.params.name));
    return {
      model_version_status: [
        {
          version: String(model.age),
          state: model.unavailable === undefined ? 'AVAILABLE' : 'LOADING',
          status: {
            error_code: model.unavailable === undefined ? 'OK' : 'UNAVAILABLE',
            error_message: model.unavailable ?? '',
          },
        },
      ],
    };
  });
  http.post<{ Params: { call: string } }>('/v1/models/:call', async (request, reply) => {
    const [, name = '', verb] = /^(.*?)(?::([a-z]*))?$/.exec(request.params.call) ?? [];
    if (verb !== 'predict') return refuse(reply, 404, `Only POST /v1/models/${name}:predict is served.`);
    const model = served(name);
    if (model === undefined) return refuse(reply, 404, noSuchModel(name));
    if (model.unavailable !== undefined) return refuse(reply, 503, model.unavailable);
    const body = PredictRequest.safeParse(request.body);
    if (!body.success) {
      const wanted = 'The body must be {"instances": [[number, ...], ...]} with 1 to 4096 rows';
      return refuse(reply, 400, `${wanted}: ${z.prettifyError(body.error)}`);
    }
    try {
      return { predictions: await model.predict(body.data.instances) };
    } catch (error) {
      if (error instanceof BadInputError) return refuse(reply, 400, error.message);
      if (error instanceof LearnerStoppedError) {
        return refuse(reply, 503, 'The training worker is being started again; try again in a few seconds.');
      }
      throw error;
    }
  });
}

const noSuchModel = (name: string): string => `No model "${name}" is learned here; GET /status lists the models.`;
