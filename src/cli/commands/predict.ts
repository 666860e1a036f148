import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { withConnection } from '../cluster/connection.ts';
import { failed, misused, reasonOf, saidBy } from '../errors.ts';
import type { ClusterFlags, OutputFlags } from '../flags.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { askValidator } from '../predict/ask.ts';
import { chooseValidators } from '../predict/choose.ts';
import { type Answer, readInstances } from '../predict/instances.ts';
import { answerText } from '../render/answer.ts';
import { printJson } from '../render/json.ts';

/** Flags of `murmur predict`. */
export interface PredictFlags extends ClusterFlags, OutputFlags {
  readonly model: string;
  readonly file: string;
}

/** Asks a ready validator of the model's network, through the API server; the next one where it does not answer. */
export async function predict(flags: PredictFlags, io: Io): Promise<void> {
  const instances = readInstances(await readInput(flags.file, io), flags.file);
  const answer = await withConnection(flags, io, async ({ client, transport, namespace }): Promise<Answer> => {
    const listed = await listFleets(client, namespace, io.signal);
    const pods = chooseValidators(listed, flags.model, namespace);
    const refusals: string[] = [];
    for (const pod of pods) {
      const result = await askValidator({
        transport,
        namespace,
        pod,
        model: flags.model,
        instances,
        signal: io.signal,
      });
      if ('predictions' in result) return { ...result, validator: pod };
      if (result.blames === 'request') {
        throw misused(
          `Model ${flags.model} cannot be asked that: ${result.refusal}`,
          `Correct ${flags.file === '-' ? 'the rows' : flags.file}.`,
        );
      }
      refusals.push(saidBy(pod, result.refusal));
    }
    throw failed(
      `No validator answered for model ${flags.model}. ${refusals.join('; ')}.`,
      `See how they are: murmur status -n ${namespace}`,
    );
  });
  if (flags.output === 'json') printJson(io.out, 'Prediction', { model: flags.model, ...answer });
  else io.out.write(`${answerText(answer).join('\n')}\n`);
}

async function readInput(file: string, io: Io): Promise<string> {
  try {
    return file === '-' ? await io.readInput() : await readFile(resolve(io.folder, file), 'utf8');
  } catch (error) {
    throw misused(`The file ${file} cannot be read: ${reasonOf(error)}.`, 'Give --file a JSON file with rows.');
  }
}
