import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GROUP, KINDS } from '../../../src/api/index.ts';
import { apiServer } from '../harness.ts';
import { findHelm, lint, type Rendered, template } from './helm.ts';

const helm = await findHelm();
const api = apiServer();
afterAll(() => api.close());

if (!helm.found) test.skip(`the chart (no helm: ${helm.why})`);

describe.runIf(helm.found)('the chart', () => {
  const path = helm.found ? helm.path : '';
  const of = (objects: readonly Rendered[], kind: string): readonly Rendered[] =>
    objects.filter((object) => object.kind === kind);
  const one = (objects: readonly Rendered[], kind: string): Rendered => {
    const found = of(objects, kind);
    expect(found.length, kind).toBe(1);
    return found[0]!;
  };

  test('passes helm lint', async () => {
    await lint(path);
  });

  test.each([
    ['replicas', -1],
    ['replcas', 1],
    ['image.tag', 'no spaces'],
    ['metrics.serviceMonitor.interval', 'often'],
    ['watchNamespaces', 'default'],
  ])('refuses %s: %j', async (name, value) => {
    await expect(template(path, { [name]: value })).rejects.toThrow(/values don't meet the specifications|additional/);
  });

  test('runs the operator as the restricted pod security standard asks, with its flags and no secret in env', async () => {
    const pod = one(await template(path, { watchNamespaces: ['a', 'b'] }), 'Deployment').spec.template.spec;
    const [container] = pod.containers;
    expect(container.args).toEqual([
      'operator',
      '--namespace=murmuration-system',
      '--watch-namespaces=a,b',
      '--leader-elect',
      '--metrics-address=:8080',
      '--health-address=:8081',
      '--image=murmuration:0.1.0',
    ]);
    expect(container.env.map(({ name }: { name: string }) => name)).toEqual(['POD_NAME', 'POD_NAMESPACE']);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('names images by digest where one is given, and validators by an image of their own', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const deployment = one(await template(path, { 'image.digest': digest, 'validators.image': 'v:1' }), 'Deployment');
    const [container] = deployment.spec.template.spec.containers;
    expect(container.image).toBe(`murmuration@${digest}`);
    expect(container.args).toContain('--image=v:1');
  });

  test('grants no wildcard, and no secrets beyond watched namespaces', async () => {
    const objects = await template(path, { watchNamespaces: ['a', 'b'] });
    for (const role of [...of(objects, 'ClusterRole'), ...of(objects, 'Role')]) {
      for (const rule of role.rules) {
        expect([...rule.apiGroups, ...rule.resources, ...rule.verbs]).not.toContain('*');
      }
    }
    const everywhere = of(objects, 'ClusterRoleBinding').map(({ roleRef }) => roleRef.name);
    const rules = of(objects, 'ClusterRole')
      .filter(({ metadata }) => everywhere.includes(metadata.name))
      .flatMap((role) => role.rules);
    expect(rules.flatMap((rule) => rule.resources)).not.toContain('secrets');
    const bound = of(objects, 'RoleBinding').filter(({ roleRef }) => roleRef.kind === 'ClusterRole');
    expect(bound.map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b']);
  });

  test('makes no PodDisruptionBudget that could never be met', async () => {
    expect(of(await template(path, { replicas: 1 }), 'PodDisruptionBudget')).toEqual([]);
    expect(of(await template(path), 'PodDisruptionBudget')).toHaveLength(1);
  });

  test('makes a ServiceMonitor only when told to', async () => {
    expect(of(await template(path), 'ServiceMonitor')).toEqual([]);
    const monitor = one(await template(path, { 'metrics.serviceMonitor.enabled': true }), 'ServiceMonitor');
    const service = one(await template(path), 'Service');
    expect(monitor.spec.endpoints[0].port).toBe(service.spec.ports[0].name);
    expect(service.metadata.labels).toMatchObject(monitor.spec.selector.matchLabels);
  });

  test('protects each namespace with fleets, and lets its own operators in', async () => {
    const objects = await template(path, { 'networkPolicy.validators.namespaces': ['default', 'birds'] });
    const policies = of(objects, 'NetworkPolicy').filter(({ metadata }) => metadata.name.endsWith('-validators'));
    expect(policies.map(({ metadata }) => metadata.namespace)).toEqual(['default', 'birds']);
    const byDefault = of(await template(path), 'NetworkPolicy').map(({ metadata }) => metadata.namespace);
    expect(byDefault).toEqual(expect.arrayContaining(['default', 'murmuration-system']));
    const operator = one(objects, 'Deployment').spec.template.metadata.labels;
    const [, operators] = policies[0]!.spec.ingress[0].from;
    expect(operators.namespaceSelector.matchLabels['kubernetes.io/metadata.name']).toBe('murmuration-system');
    expect(operator).toMatchObject(operators.podSelector.matchLabels);
  });

  test('brings every kind, and leaves them when it goes', async () => {
    const crds = of(await template(path), 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual(
      Object.values(KINDS)
        .map(({ plural }) => `${plural}.${GROUP}`)
        .sort(),
    );
    for (const { metadata } of crds) expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    expect(of(await template(path, { 'crds.install': false }), 'CustomResourceDefinition')).toEqual([]);
  });

  describe('on an API server', () => {
    let home: string;
    let watched: string;
    beforeAll(async () => {
      home = await api.namespace('home');
      watched = await api.namespace('watched');
      // the strictest standard, so that a pod that it would refuse is refused here
      const enforce = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } };
      await api.call('PATCH', `/api/v1/namespaces/${home}`, enforce, 'application/merge-patch+json');
    });

    test('is accepted whole, without a field that is not known', async () => {
      const values = { watchNamespaces: [watched], 'crds.install': false };
      for (const object of await template(path, values, home)) {
        const { code, body } = await api.call('POST', `${collection(object)}?fieldValidation=Strict`, object);
        expect(code, `${object.kind} ${object.metadata.name}: ${body.message}`).toBe(201);
      }
    });

    test('has an operator pod that the restricted standard lets in', async () => {
      const deployment = one(await template(path, {}, home), 'Deployment');
      const { metadata, spec } = deployment.spec.template;
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'operator' }, spec };
      const { code, body } = await api.call('POST', `/api/v1/namespaces/${home}/pods?dryRun=All`, pod);
      expect(code, body.message).toBe(201);
    });

    test('lets the operator do what it must', async () => {
      const denied: string[] = [];
      const must = async (namespace: string | undefined, group: string, resource: string, verbs: readonly string[]) => {
        for (const verb of verbs) {
          if (!(await may(home, namespace, group, resource, verb))) denied.push(`${verb} ${resource} in ${namespace}`);
        }
      };
      const read = ['get', 'list', 'watch'];
      const write = ['create', 'patch', 'delete'];
      for (const plural of ['validatornodes', 'modelshards']) await must(watched, GROUP, plural, [...read, ...write]);
      for (const plural of ['validatorfleets', 'models']) await must(watched, GROUP, plural, read);
      for (const plural of ['validatornodes', 'validatorfleets', 'models', 'modelshards']) {
        await must(watched, GROUP, `${plural}/status`, ['patch']);
      }
      for (const plural of ['pods', 'services', 'secrets', 'configmaps', 'persistentvolumeclaims']) {
        await must(watched, '', plural, [...read, ...write]);
      }
      await must(watched, 'policy', 'poddisruptionbudgets', [...read, 'create', 'patch']);
      await must(watched, 'events.k8s.io', 'events', ['create', 'patch']);
      await must(undefined, GROUP, 'stakekeyreservations', [...read, ...write]);
      await must(undefined, '', 'nodes', read);
      await must(undefined, '', 'namespaces', read);
      await must(home, 'coordination.k8s.io', 'leases', ['get', 'create', 'update', 'patch']);
      await must(home, '', 'secrets', ['get', 'create', 'patch']);
      expect(denied).toEqual([]);
    });

    test('lets the operator do no more', async () => {
      const allowed: string[] = [];
      const mustNot = async (
        namespace: string | undefined,
        group: string,
        resource: string,
        verbs: readonly string[],
      ) => {
        for (const verb of verbs) {
          if (await may(home, namespace, group, resource, verb)) allowed.push(`${verb} ${resource} in ${namespace}`);
        }
      };
      await mustNot('kube-system', '', 'secrets', ['get', 'list', 'create']);
      await mustNot('kube-system', '', 'pods', ['create', 'delete', 'list']);
      await mustNot(home, '', 'secrets', ['delete']);
      await mustNot(watched, '', 'pods/exec', ['create', 'get']);
      await mustNot(watched, 'apps', 'deployments', ['create', 'get']);
      await mustNot(watched, GROUP, 'models', ['delete', 'create', 'patch']);
      await mustNot(undefined, '', 'nodes', ['patch', 'delete']);
      await mustNot(undefined, 'rbac.authorization.k8s.io', 'clusterroles', ['create', 'bind', 'escalate']);
      await mustNot(undefined, 'apiextensions.k8s.io', 'customresourcedefinitions', ['create', 'delete']);
      expect(allowed).toEqual([]);
    });
  });
});

const PLURALS: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies' };

/** Where objects of this kind are created. */
function collection({ apiVersion, kind, metadata }: Rendered): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${scope}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}`;
}

/** Whether the operator's service account may do it. */
async function may(home: string, namespace: string | undefined, group: string, resource: string, verb: string) {
  const [name, subresource] = resource.split('/');
  const { body } = await api.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: `system:serviceaccount:${home}:murmuration`,
      resourceAttributes: { namespace, group, resource: name, subresource, verb },
    },
  });
  return body.status.allowed === true;
}
