import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { access, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';

/** How to speak to a running API server, as a super user. */
export interface Access {
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  readonly url: string;
  /** PEM text of the certificates to trust. */
  readonly ca: string;
  readonly token: string;
}

/** A real kube-apiserver on a real etcd, alone: no scheduler, no controllers, no kubelet. */
export interface ControlPlane extends Access {
  /** Ends the API server only; etcd and what it holds stay. */
  stopApiServer(): Promise<void>;
  /** Starts it again on the same port, with the same keys, on the same data. */
  startApiServer(): Promise<void>;
  /** Every write that the server took, in the order in which it came in. Empty unless audited. */
  writes(): Promise<readonly AuditedWrite[]>;
  /** Keeps a copy of etcd's data. Both are away meanwhile. */
  backUp(): Promise<void>;
  /** Puts etcd back to what it held at {@link backUp}, its revision too. Both are away meanwhile. */
  restore(): Promise<void>;
  /** Ends both and removes their folder. */
  stop(): Promise<void>;
}

/** One write, as the server's audit log tells of it. */
export interface AuditedWrite {
  /** When the server received it, Unix ms. */
  readonly at: number;
  readonly user: string;
  readonly verb: string;
  readonly resource: string;
  readonly name: string;
  readonly code: number;
}

export interface ControlPlaneOptions {
  /** Keep a log of all writes, see {@link ControlPlane.writes}. */
  readonly audit?: boolean;
}

const PREFIX = 'murmuration-apiserver-';
const READY_SECONDS = 60;
const STOP_SECONDS = 10;
const TOOL = join(import.meta.dirname, '..', '..', 'tools', 'get.sh');

/**
 * Folder with kube-apiserver and etcd: KUBEBUILDER_ASSETS, else what tools/get.sh builds (minutes, the first time).
 * @throws Error that says what is missing
 */
async function findAssets(): Promise<string> {
  const given = process.env.KUBEBUILDER_ASSETS;
  if (given !== undefined && given !== '') {
    for (const program of ['kube-apiserver', 'etcd']) {
      await access(join(given, program)).catch(() => {
        throw new Error(
          `KUBEBUILDER_ASSETS is ${given}, but there is no ${program} in it. Unset it, or put one there.`,
        );
      });
    }
    return given;
  }
  const { stdout } = await promisify(execFile)(TOOL, ['envtest'], { maxBuffer: 1 << 24 });
  const folder = stdout.trim().split('\n').at(-1) ?? '';
  await access(join(folder, 'kube-apiserver'));
  return folder;
}

/** Starts etcd and a kube-apiserver on free ports of 127.0.0.1 and waits until it serves. @throws Error that says what is missing */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const assets = await findAssets();
  sweepOrphans();
  const folder = await mkdtemp(join(tmpdir(), PREFIX));
  const children = new Set<ChildProcess>();
  const killAll = (): void => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', killAll);
  try {
    const [clientPort, peerPort, port] = await Promise.all([freePort(), freePort(), freePort()]);
    const etcdUrl = `http://127.0.0.1:${clientPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const data = join(folder, 'etcd');
    const etcdFlags = [
      `--data-dir=${data}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--unsafe-no-fsync',
    ];
    const startEtcd = (): ChildProcess => launch(folder, children, join(assets, 'etcd'), etcdFlags);
    let etcd = startEtcd();

    const token = randomBytes(24).toString('hex');
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const certificates = join(folder, 'certificates');
    mkdirSync(certificates);
    const secret = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const flags = [
      `--etcd-servers=${etcdUrl}`,
      `--secure-port=${port}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      `--cert-dir=${certificates}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${secret('service-account.pub', keys.publicKey)}`,
      `--service-account-signing-key-file=${secret('service-account.key', keys.privateKey)}`,
      `--token-auth-file=${secret('tokens.csv', `${token},admin,admin,"system:masters"\n`)}`,
      '--authorization-mode=RBAC',
      // its controller is not here to make service accounts, and pods would be refused
      '--disable-admission-plugins=ServiceAccount',
      '--allow-privileged=true',
    ];
    const auditLog = join(folder, 'audit.log');
    if (options.audit === true) {
      flags.push(`--audit-policy-file=${secret('audit.json', JSON.stringify(AUDIT_POLICY))}`);
      flags.push(`--audit-log-path=${auditLog}`);
    }
    const url = `https://127.0.0.1:${port}`;
    let server: ChildProcess | undefined;
    let ca = '';
    const startApiServer = async (): Promise<void> => {
      server = launch(folder, children, join(assets, 'kube-apiserver'), flags);
      ca = await untilReady(folder, server, url, join(certificates, 'apiserver.crt'), token);
    };
    const stopApiServer = async (): Promise<void> => {
      if (server !== undefined) await end(server, children);
      server = undefined;
    };
    const whileAway = async (act: () => Promise<void>): Promise<void> => {
      await stopApiServer();
      await end(etcd, children);
      await act();
      etcd = startEtcd();
      await startApiServer();
    };
    await startApiServer();
    return {
      url,
      token,
      ca,
      kubeconfig: secret('kubeconfig', kubeconfig({ url, ca, token })),
      startApiServer,
      stopApiServer,
      writes: async () => (options.audit === true ? auditedWrites(await readFile(auditLog, 'utf8')) : []),
      backUp: () => whileAway(() => cp(data, `${data}-backup`, { recursive: true })),
      restore: () =>
        whileAway(async () => {
          await rm(data, { recursive: true });
          await cp(`${data}-backup`, data, { recursive: true });
        }),
      stop: async () => {
        await stopApiServer();
        await end(etcd, children);
        process.off('exit', killAll);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (cause) {
    killAll();
    process.off('exit', killAll);
    throw cause;
  }
}

function launch(folder: string, children: Set<ChildProcess>, program: string, flags: readonly string[]): ChildProcess {
  const name = program.slice(program.lastIndexOf('/') + 1);
  const child = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
  log.on('error', () => {});
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  child.once('error', (cause) => log.write(`${program} did not start: ${cause.message}\n`));
  children.add(child);
  child.once('exit', () => children.delete(child));
  writeFileSync(join(folder, `${name}.pid`), `${child.pid ?? ''}`);
  return child;
}

async function end(child: ChildProcess, children: Set<ChildProcess>): Promise<void> {
  if (!children.has(child)) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_SECONDS * 1000);
  await gone;
  clearTimeout(kill);
}

/** Writes only, once each, when they have been answered. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata', verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] }, { level: 'None' }],
};

interface AuditEvent {
  readonly requestReceivedTimestamp: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
}

function auditedWrites(log: string): readonly AuditedWrite[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .map((line): AuditedWrite => {
      const event = JSON.parse(line) as AuditEvent;
      return {
        at: Date.parse(event.requestReceivedTimestamp),
        user: event.user.username,
        verb: event.verb,
        resource: event.objectRef?.resource ?? '',
        name: event.objectRef?.name ?? '',
        code: event.responseStatus?.code ?? 0,
      };
    })
    .sort((a, b) => a.at - b.at);
}

/** Waits for /readyz. Answers the certificates to trust, which the server made for itself. */
async function untilReady(
  folder: string,
  server: ChildProcess,
  url: string,
  certificate: string,
  token: string,
): Promise<string> {
  const deadline = Date.now() + READY_SECONDS * 1000;
  for (;;) {
    if (server.exitCode !== null || Date.now() > deadline) {
      const log = await readFile(join(folder, 'kube-apiserver.log'), 'utf8').catch(() => '');
      const what = server.exitCode === null ? `not ready after ${READY_SECONDS} s` : `ended with ${server.exitCode}`;
      throw new Error(`kube-apiserver ${what}. Its last words:\n${log.split('\n').slice(-20).join('\n')}`);
    }
    const ca = await readFile(certificate, 'utf8').catch(() => '');
    if (ca !== '' && (await answers(`${url}/readyz`, ca, token))) return ca;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function answers(url: string, ca: string, token: string): Promise<boolean> {
  const dispatcher = new Agent({ connect: { ca } });
  try {
    const { statusCode, body } = await request(url, { dispatcher, headers: { authorization: `Bearer ${token}` } });
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  } finally {
    await dispatcher.destroy();
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });

/** A kubeconfig is YAML, and JSON is YAML. */
const kubeconfig = ({ url, ca, token }: Omit<Access, 'kubeconfig'>): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  });

/** Ends servers of a run that was killed before it could: their folder names them, their command line names it. */
function sweepOrphans(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const pids = ['etcd', 'kube-apiserver'].map((program) => {
      try {
        return Number(readFileSync(join(folder, `${program}.pid`), 'utf8'));
      } catch {
        return 0;
      }
    });
    const ours = pids.filter((pid) => pid > 0 && commandLine(pid).includes(folder));
    if (ours.some((pid) => parentIsAlive(pid))) continue;
    for (const pid of ours) process.kill(pid, 'SIGKILL');
    if (pids.some((pid) => pid > 0)) rmSync(folder, { recursive: true, force: true });
  }
}

const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
};

/** An orphan's parent is init; where /proc is missing nothing is swept. */
const parentIsAlive = (pid: number): boolean => {
  try {
    const parent = Number(/^PPid:\s+([0-9]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '1');
    return commandLine(parent).includes('node');
  } catch {
    return true;
  }
};
