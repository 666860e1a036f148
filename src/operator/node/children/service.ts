import { LABELS } from '../../../api/index.ts';
import { ownerReference, type Service } from '../../../kube/index.ts';
import type { ValidatorNode } from '../../kinds.ts';
import { validatorLabels } from '../../labels.ts';
import { PORTS } from './pod.ts';

/** Headless Service: the validator's name in DNS, also before it is ready, since peers must find it to make it so. */
export function buildService(node: ValidatorNode): Service {
  const { name, namespace } = node.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: validatorLabels(node),
      ownerReferences: [ownerReference(node)],
    },
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { [LABELS.node]: name },
      ports: [
        { name: 'p2p', port: PORTS.p2p, targetPort: 'p2p', protocol: 'TCP' },
        { name: 'http', port: PORTS.http, targetPort: 'http', protocol: 'TCP' },
      ],
    },
  };
}
