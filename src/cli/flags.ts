/** Flags that several commands share, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from './render/duration.ts';

/** Which cluster and namespace a command talks to. */
export interface ClusterFlags {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** How a result is printed: a text for people, or JSON whose fields are stable. */
export interface OutputFlags {
  readonly output?: 'json';
}

/** Adds --namespace, --kubeconfig and --context. */
export function withCluster(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'namespace of the fleet (default: that of the context)')
    .option(
      '--kubeconfig <file>',
      'kubeconfig to use (default: $KUBECONFIG, the cluster of `murmur up`, ~/.kube/config)',
    )
    .option('--context <name>', 'context of the kubeconfig (default: its current one)');
}

/** Adds -o json. */
export function withOutput(command: Command): Command {
  return command.addOption(new Option('-o, --output <format>', 'json for programs').choices(['json']));
}

/** Puts examples above everything else in --help. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [line: string, meaning: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}   ${meaning}`);
  return command.addHelpText('before', `Examples:\n${lines.join('\n')}\n`);
}

/** Milliseconds from what a person types: `15m`, `90s`, `1h30m`. */
export function readDuration(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds <= 0) {
    throw new InvalidArgumentError('Write a duration such as 90s, 15m or 1h30m.');
  }
  return milliseconds;
}

/** A number of things, one at least. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('Write a whole number from 1 on.');
  return count;
}

/** Names from a list with commas. */
export function readNames(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** An address to listen on: `:8080`, `0.0.0.0:8080`, `[::]:8080`, or `0` for none. */
export function readAddress(text: string): string {
  if (text === '0') return text;
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]*):(\d{1,5})$/.exec(text)?.[1];
  if (port === undefined || Number(port) > 65535) {
    throw new InvalidArgumentError('Write host:port or :port, such as 0.0.0.0:8080 or :8080.');
  }
  return text;
}

/** `namespace/network`. */
export function readNetwork(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text)) {
    throw new InvalidArgumentError('Write namespace/network, such as default/default.');
  }
  return text;
}
