/** The newest version that the charter's validators certified, as its validators show it. */
import type { Charter, CharterModel } from '../../overlay/index.ts';
import type { Certificate } from '../../trust/index.ts';
import { failed, saidBy } from '../errors.ts';
import { askFor, type Pod } from '../pod/exchange.ts';
import type { Source } from './blocks.ts';
import { answerShape, check, type Input, inputOf, type Signer } from './certificate.ts';

/** Validators asked, the ready ones first: a newer certificate than all of these know is news of the last second. */
const maxAsked = 32;

/** Who is asked for what. */
export interface CertifiedFrom extends Omit<Pod, 'pod'> {
  /** Pods of the network by the names of their ValidatorNodes, ready ones first. */
  readonly pods: ReadonlyMap<string, string>;
  readonly charter: Charter;
  readonly model: CharterModel;
  /** CID of the version; undefined for the newest. */
  readonly version: string | undefined;
  /** Unix seconds. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** A certified version and where its blocks may be. */
export interface Certified {
  readonly certificate: Certificate;
  readonly signers: readonly Signer[];
  readonly input: Input;
  /** All validators that run, with what they are said to hold. */
  readonly sources: readonly Source[];
}

/** Asks the network's validators and takes the newest certificate that proves itself. @throws CommandError */
export async function findCertified(from: CertifiedFrom): Promise<Certified> {
  const { transport, namespace, pods, model, version, signal } = from;
  const query = version === undefined ? '' : `?version=${encodeURIComponent(version)}`;
  const path = `/v1/models/${encodeURIComponent(model.name)}/certificate${query}`;
  const answers = await Promise.all(
    [...pods.values()].slice(0, maxAsked).map(async (pod) => ({
      pod,
      said: await askFor({ transport, namespace, pod }, path, answerShape, signal),
    })),
  );
  const refusals: string[] = [];
  const proven = answers.flatMap(({ pod, said }) => {
    const checked = 'refusal' in said ? said : check(said.value.certificate, from);
    if ('refusal' in checked) {
      refusals.push(saidBy(pod, checked.refusal));
      return [];
    }
    return [checked];
  });
  const [newest] = proven.sort((a, b) => b.certificate.age - a.certificate.age);
  if (newest === undefined) {
    throw failed(
      `No certificate of model ${model.name} proves itself. ${refusals.slice(0, 4).join('; ')}.`,
      version === undefined
        ? 'A fleet that is young, or has just grown, certifies its next version soon: try again in a minute.'
        : 'Validators keep the newest few versions only: leave --version out for the newest.',
    );
  }
  const values = answers.flatMap(({ said }) => ('value' in said ? [said.value] : []));
  const input = inputOf(
    values.flatMap((value) => value.input ?? []),
    model,
  );
  if ('refusal' in input) {
    throw failed(`Model ${model.name} cannot be pulled: ${input.refusal}.`, 'Try again in a few seconds.');
  }
  const holders = new Map(
    values
      .filter(({ certificate }) => certificate.version === newest.certificate.version)
      .flatMap((value) => value.holders.map((holder) => [holder.name, holder] as const)),
  );
  const sources = [...pods].map(([node, pod]) => ({ name: pod, ranges: holders.get(node)?.ranges }));
  return { ...newest, input, sources };
}
