import { command, eventually } from '../../test/e2e/cluster.ts';
import { type Census, onMachine, type Volume } from './census.ts';
import type { PartName } from './figures.ts';
import { FLEET, REPLICAS } from './fleet.ts';
import type { Stage, Version } from './stage.ts';

/** What was done, and what is to come of it. */
export interface Disturbance {
  /** In words. */
  readonly what: string;
  /** Bytes of live copies that were lost or have to leave. */
  readonly lost: number;
  /** Live copies that every chunk is to have in the end. */
  readonly replicas: number;
  /** The version whose chunks are counted; the one before where nothing is said. */
  readonly version?: Version;
  /** Puts things right again, for the next one. */
  readonly undo?: () => Promise<void>;
}

type Disturb = (stage: Stage, version: Version, census: Census) => Promise<Disturbance>;

/** The validator that holds the most of the version. */
function fullest({ volumes }: Census, { chunks }: Version, but: readonly string[] = []): Volume {
  const held = (volume: Volume): number => chunks.filter((cid) => volume.blocks.has(cid)).length;
  const [most] = volumes
    .filter(({ validator }) => !but.includes(validator))
    .sort((a, b) => held(b) - held(a) || (a.validator < b.validator ? -1 : 1));
  if (most === undefined) throw new Error('nobody holds anything');
  return most;
}

const bytesOf = (volumes: readonly Volume[], { chunks }: Version): number =>
  volumes.flatMap(({ blocks }) => chunks.map((cid) => blocks.get(cid)?.bytes ?? 0)).reduce((a, b) => a + b, 0);

/** A pod and its volume are deleted. */
const volume: Disturb = async (stage, version, census) => {
  const gone = fullest(census, version);
  await loseVolume(stage, gone.validator);
  return { what: `${gone.validator} lost its pod and its volume`, lost: bytesOf([gone], version), replicas: REPLICAS };
};

async function loseVolume({ cluster }: Stage, validator: string): Promise<void> {
  await cluster.kubectl('delete', 'pvc', `${validator}-data`, '--wait=false');
  await cluster.kubectl('delete', 'pod', validator, '--force', '--grace-period=0');
}

/** Bytes are flipped in every chunk that one validator has. */
const rot: Disturb = async (_stage, version, census) => {
  const rotten = fullest(census, version);
  await flip(rotten, version);
  return {
    what: `bytes were flipped in all chunks of ${rotten.validator}`,
    lost: bytesOf([rotten], version),
    replicas: REPLICAS,
  };
};

/** Puts 16 other bytes into the middle of each file, in its place. */
async function flip({ machine, folder, blocks }: Volume, { chunks }: Version): Promise<void> {
  const names = chunks.filter((cid) => blocks.has(cid));
  const script = `cd ${folder} && for name in ${names.join(' ')}; do
    size=$(stat -c %s $name)
    head -c 16 /dev/urandom | dd of=$name bs=1 seek=$((size / 2)) conv=notrunc status=none
  done`;
  await onMachine(machine, script);
}

/** One validator loses its pod and its volume, and at the same time all chunks of another are damaged. */
const both: Disturb = async (stage, version, census) => {
  const gone = fullest(census, version);
  const rotten = fullest(census, version, [gone.validator]);
  await Promise.all([loseVolume(stage, gone.validator), flip(rotten, version)]);
  return {
    what: `${gone.validator} lost its pod and its volume while bytes were flipped in all chunks of ${rotten.validator}`,
    lost: bytesOf([gone, rotten], version),
    replicas: REPLICAS,
  };
};

/** A machine vanishes with all that runs on it, and does not come back until the rest is whole. */
const machine: Disturb = async (stage, version, census) => {
  const { machine: gone } = fullest(census, version);
  const on = census.volumes.filter((one) => one.machine === gone);
  await command('docker', ['kill', gone]);
  return {
    what: `${gone} vanished with ${on.map(({ validator }) => validator).join(', ')}`,
    lost: bytesOf(on, version),
    replicas: Math.min(REPLICAS, stage.validators - on.length),
    undo: async () => {
      await command('docker', ['start', gone]);
      await stage.allReady(600);
    },
  };
};

/** `kubectl drain` of a machine. */
const drain: Disturb = async (stage, version, census) => {
  const { machine: leaves } = fullest(census, version);
  const on = census.volumes.filter((one) => one.machine === leaves);
  const begun = Date.now();
  const { cluster } = stage;
  await cluster.kubectl('drain', leaves, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=900s');
  return {
    what: `kubectl drain ${leaves} (${on.map(({ validator }) => validator).join(', ')}) ended after ${Math.round((Date.now() - begun) / 1000)} s`,
    lost: bytesOf(on, version),
    replicas: Math.min(REPLICAS, stage.validators - on.length),
    undo: async () => {
      await cluster.kubectl('uncordon', leaves);
      await stage.allReady(600);
    },
  };
};

/** Room that chunks leave to other files on a volume of this size; MiB. */
const DISK_MIB = 400;
const LEFT_MIB = 70;

/** A holder's disk has no room for the next version, which is certified then. */
const disk: Disturb = async (stage, version, census) => {
  const full = fullest(census, version);
  const claim = full.folder.slice(0, full.folder.indexOf('/', '/var/local-path-provisioner/'.length));
  // A file system of its own over the volume's folder, with what was there; the pod that comes next sees it.
  await onMachine(
    full.machine,
    `cp -a ${claim} ${claim}.copy && mount -t tmpfs -o size=${DISK_MIB}m tmpfs ${claim} && cp -a ${claim}.copy/. ${claim}/ && chmod 777 ${claim}`,
  );
  await restart(stage, full.validator);
  await onMachine(
    full.machine,
    `free=$(df -m --output=avail ${claim} | tail -1) && dd if=/dev/zero of=${claim}/ballast bs=1M count=$((free - ${LEFT_MIB})) status=none`,
  );
  const next = await stage.nextVersion(version);
  return {
    what: `the disk of ${full.validator} was full when the next version was certified`,
    lost: 0,
    replicas: REPLICAS,
    version: next,
    undo: async () => {
      await onMachine(full.machine, `rm ${claim}/ballast`);
      await stage.whole(REPLICAS, 600);
      await onMachine(full.machine, `rm -rf ${claim}.copy && cp -a ${claim} ${claim}.copy && umount ${claim}`);
      await onMachine(full.machine, `rm -rf ${claim}/* && cp -a ${claim}.copy/. ${claim}/ && rm -rf ${claim}.copy`);
      await restart(stage, full.validator);
    },
  };
};

async function restart(stage: Stage, validator: string): Promise<void> {
  const before = (await stage.pod(validator))?.metadata.uid;
  await stage.cluster.kubectl('delete', 'pod', validator);
  await eventually(`${validator} to run again`, 300, async () => {
    const pod = await stage.pod(validator);
    return pod !== undefined && pod.metadata.uid !== before;
  });
  await stage.allReady(300);
}

/** The fleet is scaled from six to three. */
const shrink: Disturb = async (stage, version, census) => {
  const left = REPLICAS;
  const leaving = census.volumes.filter(({ validator }) => Number(validator.split('-').at(-1)) >= left);
  await stage.cluster.kubectl('scale', `vf/${FLEET}`, `--replicas=${left}`);
  await eventually(`${stage.validators - left} validators to go`, 900, async () => {
    return (await stage.cluster.list('vn')).length === left;
  });
  return {
    what: `the fleet was scaled from ${stage.validators} to ${left}`,
    lost: bytesOf(leaving, version),
    replicas: left,
    undo: async () => {
      await stage.cluster.kubectl('scale', `vf/${FLEET}`, `--replicas=${stage.validators}`);
      await stage.allReady(600);
    },
  };
};

export const DISTURBANCES: Readonly<Record<PartName, Disturb>> = { volume, rot, both, machine, drain, disk, shrink };
