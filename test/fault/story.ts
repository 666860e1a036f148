import { LABELS } from '../../src/api/index.ts';
import { NotFound, Pod, Service } from '../../src/kube/index.ts';
import { ModelShard, ValidatorFleet, ValidatorNode } from '../../src/operator/kinds.ts';
import { fleet, has, model, type Stage } from '../apiserver/operator/stage.ts';

/** Waits until the fleet is Ready and Converged with so many validators, of its present template. ms */
export const settled = (stage: Stage, replicas: number, ms: number): Promise<unknown> =>
  stage.until(
    `the fleet has settled with ${replicas}`,
    async () => {
      // The API server may be away.
      const found = await stage.get(ValidatorFleet, 'flock').catch(() => undefined);
      return (
        found?.spec.replicas === replicas &&
        found.status?.replicas === replicas &&
        found.status.updatedReplicas === replicas &&
        has(found, 'Ready', 'True') &&
        has(found, 'Converged', 'True')
      );
    },
    ms,
  );

/** One thing that people do. */
export interface Chapter {
  readonly what: string;
  /** Validators that the fleet should have then. */
  readonly replicas: number;
  readonly act: (stage: Stage) => Promise<void>;
}

const ignoreGone = (error: unknown): void => {
  if (!(error instanceof NotFound)) throw error;
};

const template = (cpu: string): object => ({ resources: { requests: { cpu } } });

/** Made, changed, disturbed by hand, grown and shrunk; the third validator leaves, and a namesake comes. */
export const story: readonly Chapter[] = [
  {
    what: 'a model and a fleet of three are made',
    replicas: 3,
    act: async (stage) => {
      await stage.apply(model('digits', { shards: { count: 2 } }));
      await stage.apply(fleet('flock', 3));
    },
  },
  {
    what: 'people delete and edit children',
    replicas: 3,
    act: async (stage) => {
      const { client, key, namespace } = stage;
      await client.delete(Service, key('flock-0')).catch(ignoreGone);
      await client.delete(Pod, key('flock-1')).catch(ignoreGone);
      await client.delete(ModelShard, key('digits-0')).catch(ignoreGone);
      const edited = { spec: template('70m') };
      await client.patch(ValidatorNode, key('flock-2'), edited, { fieldManager: 'person' });
      const relabelled = { metadata: { labels: { [LABELS.templateHash]: 'edited' } } };
      await client.patch(ValidatorNode, { namespace, name: 'flock-0' }, relabelled, { fieldManager: 'person' });
    },
  },
  {
    what: 'the template changes while the fleet grows',
    replicas: 4,
    act: (stage) => stage.apply(fleet('flock', 4, template('60m'))),
  },
  { what: 'the fleet shrinks', replicas: 2, act: ({ client, key }) => client.scale(ValidatorFleet, key('flock'), 2) },
  {
    what: 'a namesake of a validator that left comes',
    replicas: 3,
    act: ({ client, key }) => client.scale(ValidatorFleet, key('flock'), 3),
  },
];
