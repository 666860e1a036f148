import { withConnection } from '../cluster/connection.ts';
import { failed, misused } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { runningIn } from '../predict/choose.ts';
import { printJson } from '../render/json.ts';
import { modelsText } from '../render/models.ts';
import { type Found, searchNetwork } from '../search/ask.ts';

/** Flags of `murmur search`. */
export interface SearchFlags extends ClusterFlags {
  readonly words: readonly string[];
  readonly output?: 'json' | 'wide';
}

/** What a validator takes. */
const maxLength = 256;

/** Asks one validator of each network of the namespace for the models that have all words. */
export async function search(flags: SearchFlags, io: Io): Promise<void> {
  const { words, output } = flags;
  if (words.join(' ').length > maxLength) {
    throw misused(`The words are too long: at most ${maxLength} letters can be searched for.`, 'Use fewer.');
  }
  const { found, namespace } = await withConnection(flags, io, async ({ client, transport, namespace }) => {
    const listed = await listFleets(client, namespace, io.signal);
    const networks = [...new Set(listed.nodes.map(({ spec }) => spec.network))].sort();
    const answers = await Promise.all(
      networks.map(async (network) => {
        const pods = runningIn(network, listed).map(({ pod }) => pod);
        return { network, ...(await searchNetwork({ transport, namespace, network, pods }, words, io.signal)) };
      }),
    );
    const silent = answers.flatMap((answer) => ('refusals' in answer ? [answer] : []));
    const found = answers.flatMap((answer) => ('models' in answer ? [answer] : []));
    if (found.length === 0) throw nobody(silent, namespace);
    for (const { network, refusals } of silent) {
      io.err.write(`Nothing is known of network ${network}: ${refusals.join('; ') || 'no validator of it runs'}.\n`);
    }
    return { found, namespace };
  });
  const models = found.flatMap((answer) => answer.models).sort((a, b) => a.name.localeCompare(b.name, 'en'));
  if (output === 'json') {
    const asked = found.map(({ network, validator }: Found & { readonly network: string }) => ({ network, validator }));
    printJson(io.out, 'ModelList', { words, models, asked });
  } else if (models.length > 0) {
    io.out.write(`${modelsText(models, output === 'wide', io.out.columns ?? Number.POSITIVE_INFINITY).join('\n')}\n`);
  } else {
    io.out.write(`${nothing(words, namespace)}\n`);
  }
}

function nothing(words: readonly string[], namespace: string): string {
  if (words.length === 0) return `There is no model in namespace ${namespace}.`;
  const wanted = words.map((word) => `"${word}"`).join(' and ');
  return `No model in namespace ${namespace} has ${wanted} in its name, task or labels.\nNext:  murmur search -n ${namespace}, for all that there are`;
}

function nobody(
  silent: readonly { readonly network: string; readonly refusals: readonly string[] }[],
  namespace: string,
): Error {
  const asked = silent.flatMap(({ refusals }) => refusals);
  return asked.length === 0
    ? failed(
        `No validator runs in namespace ${namespace}, so nobody can be asked.`,
        `Choose another --namespace, or see what is there: murmur status -n ${namespace}`,
      )
    : failed(
        `No validator in namespace ${namespace} answered. ${asked.join('; ')}.`,
        `See how they are: murmur status -n ${namespace}`,
      );
}
