import { randomBytes } from 'node:crypto';
import { Agent, request } from 'undici';
import { inject } from 'vitest';
import { customResourceDefinition } from '../../src/api/crd.ts';
import { KINDS, type KindName } from '../../src/api/kinds.ts';
import type { Access } from './control-plane.ts';

const OURS = (Object.keys(KINDS) as readonly KindName[]).map(customResourceDefinition);

/** An answer of the API server: a whole object, a list, or a Status. */
export interface Answer {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at answers of every kind
  readonly body: any;
}

/** The API server of this run. Each test file makes namespaces of its own, so files do not disturb each other. */
export interface TestApi extends Access {
  /** Makes a fresh, empty namespace and answers its name. It is not removed: the whole server goes in the end. */
  namespace(prefix?: string): Promise<string>;
  /**
   * One request with a JSON body, as a super user. Errors of the API server are answers, not exceptions.
   * @param path from the root, with query: `/api/v1/namespaces/x/pods?fieldManager=y`
   * @param contentType of a PATCH; `application/json` else
   */
  call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType?: string,
    accept?: string,
  ): Promise<Answer>;
  /** Creates CustomResourceDefinitions and waits until they are served. @param crds default: those of all our kinds */
  install(crds?: readonly InstallableCrd[]): Promise<void>;
  /** Closes the connections. */
  close(): Promise<void>;
}

/** What install needs to know of a CustomResourceDefinition. */
export interface InstallableCrd {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}

const ESTABLISHED_MS = 20_000;

/** Connects to the API server that setup.ts started, with our kinds installed. Only within tests of `apiserver`. */
export const apiServer = (): TestApi => connect(inject('apiServer'));

/** Puts our kinds into an API server and waits until they are served. */
export async function installKinds(access: Access): Promise<void> {
  const api = connect(access);
  await api.install();
  await api.close();
}

/** Connects to any API server. */
export function connect(access: Access): TestApi {
  const dispatcher = new Agent({ connect: { ca: access.ca }, connections: 16 });
  const call: TestApi['call'] = async (
    method,
    path,
    body,
    contentType = 'application/json',
    accept = 'application/json',
  ) => {
    const response = await request(`${access.url}${path}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${access.token}`, 'content-type': contentType, accept },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const json = response.headers['content-type']?.toString().startsWith('application/json') === true;
    return { code: response.statusCode, body: json ? JSON.parse(text) : text };
  };
  const must = async (...args: Parameters<TestApi['call']>): Promise<Answer> => {
    const answer = await call(...args);
    if (answer.code < 300) return answer;
    throw new Error(`${args[0]} ${args[1]} answered ${answer.code}: ${answer.body?.message ?? answer.body}`);
  };
  return {
    ...access,
    call,
    namespace: async (prefix = 'test') => {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`;
      await must('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      return name;
    },
    install: async (crds = OURS) => {
      const base = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      for (const crd of crds) await must('POST', base, crd);
      const deadline = Date.now() + ESTABLISHED_MS;
      for (const { metadata, spec } of crds) {
        for (;;) {
          const { body } = await must('GET', `${base}/${metadata.name}`);
          const conditions: readonly { type: string; status: string; message: string }[] =
            body.status?.conditions ?? [];
          const broken = conditions.find(({ type, status }) => type === 'NonStructuralSchema' && status === 'True');
          if (broken !== undefined) throw new Error(`${metadata.name}: ${broken.message}`);
          const served = await call('GET', `/apis/${spec.group}/${spec.versions[0]?.name}/${spec.names.plural}`);
          if (served.code === 200) break;
          if (Date.now() > deadline) throw new Error(`${metadata.name} is not served after ${ESTABLISHED_MS / 1000} s`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
    close: () => dispatcher.close(),
  };
}
