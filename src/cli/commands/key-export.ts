import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { Secret } from '../../kube/index.ts';
import { withConnection } from '../cluster/connection.ts';
import { failed, reasonOf } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { systemNamespace } from '../up/release.ts';

const authoritySecret = 'murmuration-authority';

/** Flags of `murmur key export`. */
export interface KeyExportFlags extends ClusterFlags {
  readonly out: string;
}

/** Writes the Secret of the authority key so that `kubectl apply` restores it. Never onto a screen by accident. */
export async function keyExport(flags: KeyExportFlags, io: Io): Promise<void> {
  const namespace = flags.namespace ?? systemNamespace;
  const document = await withConnection(flags, io, async ({ client }) => {
    const secret = await client.find(Secret, { namespace, name: authoritySecret });
    if (secret === undefined) {
      throw failed(
        `There is no Secret ${authoritySecret} in namespace ${namespace}: the operator has made no authority key there.`,
        'Name the namespace of the operator with --namespace.',
      );
    }
    const { labels, annotations } = secret.metadata;
    return stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: authoritySecret, namespace, ...(labels && { labels }), ...(annotations && { annotations }) },
      type: secret.type,
      data: secret.data,
    });
  });
  if (flags.out === '-') io.out.write(document);
  else await keep(resolve(io.folder, flags.out), document, io);
}

async function keep(file: string, document: string, io: Io): Promise<void> {
  try {
    await writeFile(file, document, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw failed(
      `The key could not be written to ${file}: ${reasonOf(error)}.`,
      'Name a file that does not exist yet, in a folder that you may write to.',
    );
  }
  io.err.write(
    `Wrote ${file}. Whoever has it can speak for your networks: keep it encrypted, and not in the cluster.\nRestore it, before the operator starts, with: kubectl apply -f ${file}\n`,
  );
}
