import { API_VERSION, LABELS, nodeName } from '../../../api/index.ts';
import { ownerReference } from '../../../kube/index.ts';
import { digestOf } from '../../digest.ts';
import type { ValidatorFleet, ValidatorNode } from '../../kinds.ts';
import { managed } from '../../labels.ts';

const remembered = new WeakMap<object, string>();

/** Name of the fleet's present template. */
export function templateHash({ spec }: ValidatorFleet): string {
  const hash = remembered.get(spec.template) ?? digestOf(spec.template);
  remembered.set(spec.template, hash);
  return hash;
}

/**
 * The ValidatorNode of this ordinal, made from the template. What the template leaves at its default `cordon: false`
 * and `paused: false` is left out, so that a person may cordon or pause a single validator of a fleet.
 */
export function buildNode(fleet: ValidatorFleet, ordinal: number): ValidatorNode {
  const { metadata, spec } = fleet.spec.template;
  const { namespace } = fleet.metadata;
  const { cordon, paused, ...rest } = spec;
  return {
    apiVersion: API_VERSION,
    kind: 'ValidatorNode',
    metadata: {
      name: nodeName(fleet.metadata.name, ordinal),
      ...(namespace === undefined ? {} : { namespace }),
      labels: {
        ...metadata.labels,
        ...managed,
        [LABELS.fleet]: fleet.metadata.name,
        [LABELS.network]: spec.network,
        [LABELS.templateHash]: templateHash(fleet),
      },
      ...(Object.keys(metadata.annotations).length === 0 ? {} : { annotations: { ...metadata.annotations } }),
      ownerReferences: [ownerReference(fleet)],
    },
    // The API server fills in what is left out.
    spec: { ...rest, ...(cordon ? { cordon } : {}), ...(paused ? { paused } : {}) } as ValidatorNode['spec'],
  };
}
