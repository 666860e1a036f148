import { KubeConfig } from '@kubernetes/client-node';
import { CLUSTER_RULES, NAMESPACED_RULES, OWN_RULES, type PolicyRule } from '../../../src/operator/index.ts';
import type { TestApi } from '../harness.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/**
 * Makes a ServiceAccount that may do what the operator's rules say and nothing else, so that every test with an operator
 * is also a test of its rights.
 */
export async function operatorAccount(
  api: TestApi,
  system: string,
  served: readonly string[],
  name = 'operator',
): Promise<KubeConfig> {
  const must = async (path: string, body: object): Promise<{ readonly status?: { readonly token?: string } }> => {
    const answer = await api.call('POST', path, body);
    if (answer.code >= 300) throw new Error(`POST ${path}: ${answer.code} ${answer.body?.message}`);
    return answer.body;
  };
  const accounts = `/api/v1/namespaces/${system}/serviceaccounts`;
  await must(accounts, { metadata: { name } });
  const subjects = [{ kind: 'ServiceAccount', name, namespace: system }];
  const grant = async (kind: 'ClusterRole' | 'Role', role: string, rules: readonly PolicyRule[], at: string) => {
    await must(`${RBAC}${kind === 'Role' ? `/namespaces/${at}/roles` : '/clusterroles'}`, {
      metadata: { name: role },
      rules,
    });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: role };
    const bindings = at === '' ? '/clusterrolebindings' : `/namespaces/${at}/rolebindings`;
    await must(`${RBAC}${bindings}`, { metadata: { name: role }, roleRef, subjects });
  };
  await grant('ClusterRole', `${system}-${name}`, CLUSTER_RULES, '');
  await grant('Role', `${name}-own`, OWN_RULES, system);
  for (const namespace of served) await grant('Role', `${name}-served`, NAMESPACED_RULES, namespace);
  const { status } = await must(`${accounts}/${name}/token`, { spec: { audiences: [], expirationSeconds: 3600 } });
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'test', server: api.url, caData: Buffer.from(api.ca).toString('base64') }],
    users: [{ name: 'operator', token: status?.token ?? '' }],
    contexts: [{ name: 'test', cluster: 'test', user: 'operator' }],
    currentContext: 'test',
  });
  return config;
}
