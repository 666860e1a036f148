/** Which versions of programs are used, for the line of step `tools`. */
import { type ToolOptions, tryTool } from './tool.ts';

const questions = {
  kind: ['version'],
  helm: ['version', '--short'],
  kubectl: ['version', '--client'],
} as const;

/** `kind 0.33.0`; only the name where the program does not tell. */
export async function versionOf(name: keyof typeof questions, path: string, options: ToolOptions): Promise<string> {
  const { say: _, ...quiet } = options;
  const answer = await tryTool([path, ...questions[name]], quiet);
  const version = /v(\d+\.\d+\.\d+)/.exec(answer.result)?.[1];
  return version === undefined ? name : `${name} ${version}`;
}
