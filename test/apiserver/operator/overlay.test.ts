import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigMap, Pod, Secret } from '../../../src/kube/index.ts';
import { ValidatorNode } from '../../../src/operator/kinds.ts';
import {
  createOverlay,
  decodeSignedCharter,
  encodeReport,
  memoryCharterStore,
  type Overlay,
} from '../../../src/overlay/index.ts';
import { has, node, type Stage, setStage } from './stage.ts';

let stage: Stage;
let peer: Overlay | undefined;
beforeEach(async () => {
  stage = await setStage({ createOverlay });
});
afterEach(async () => {
  await peer?.stop();
  await stage.end();
});

/** An address of this machine that is nobody else's. */
const IP = '127.77.4.1';

it('hears a real peer over TCP: dialed by its pod IP, let in by the charter, Connected by its report', async () => {
  stage.kubelet.podIP = () => IP;
  await stage.apply(node('solo'));
  const pod = await stage.until('the pod runs', async () => {
    const found = await stage.get(Pod, 'solo');
    return found?.status?.phase === 'Running' ? found : undefined;
  });
  const args = pod.spec?.containers[0]?.args ?? [];
  const [secret, map] = await Promise.all([
    stage.get(Secret, 'solo-identity'),
    stage.until('there is a charter', () => stage.get(ConfigMap, 'default-charter')),
  ]);
  // What a validator does with its pod's files.
  peer = createOverlay({
    network: args[args.indexOf('--network') + 1] ?? '',
    authority: args[args.indexOf('--authority') + 1] ?? '',
    identity: Buffer.from(secret?.data?.['identity.key'] ?? '', 'base64'),
    listen: [`/ip4/${IP}/tcp/4001`],
    charters: memoryCharterStore(decodeSignedCharter(Buffer.from(map.binaryData?.['charter.bin'] ?? '', 'base64'))),
    log: pino({ level: 'silent' }),
  });
  await peer.start();
  const connected = peer;
  await stage.until('the operator has dialed', async () => connected.peers().length > 0);
  const report = {
    v: 1 as const,
    node: 'solo',
    charterSeq: 1,
    peers: 1,
    backend: 'wasm',
    disk: { usedBytes: 5, freeBytes: 7 },
    models: [],
    reputation: [],
    held: [],
    problems: [],
  };
  const ready = await stage.until('the validator is Ready', async () => {
    await connected.publish('reports', encodeReport({ ...report, at: Date.now() }));
    const found = await stage.get(ValidatorNode, 'solo');
    return found !== undefined && has(found, 'Ready', 'True') ? found : undefined;
  });
  expect(ready.status).toMatchObject({ backend: 'wasm', peers: 1 });
  const full = { reason: 'VolumeFull', message: 'The volume has 7 bytes left. Enlarge storage.size.' };
  await stage.until('it says VolumeFull', async () => {
    await connected.publish('reports', encodeReport({ ...report, at: Date.now(), problems: [full] }));
    const found = await stage.get(ValidatorNode, 'solo');
    return found !== undefined && has(found, 'Ready', 'False', 'VolumeFull');
  });
});
