/** Every command with its flags. What a command does is imported when it runs, so that --help answers at once. */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import {
  readAddress,
  readCount,
  readDuration,
  readNames,
  readNetwork,
  withCluster,
  withExamples,
  withOutput,
} from './flags.ts';
import type { Io } from './io.ts';
import { projectFolder } from './project.ts';

const defaultManifest = 'manifests/validator.yaml';
const second = 1000;
const minute = 60 * second;

/** The program `murmur`, ready to parse. Parsing rejects with a CommanderError instead of ending the process. */
export function createProgram(io: Io): Command {
  const program = new Command('murmur')
    .description('Fleets of validators that learn together, on Kubernetes.')
    .version(releaseVersion(), '-V, --version', 'version of this release')
    .option('--debug', 'show where an error came from, and log more')
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text.replace(/^error: /, 'murmur: ')),
    })
    .helpCommand(false)
    // What comes after a command is that command's: `--version` of `pull` is not this program's.
    .enablePositionalOptions()
    .exitOverride();
  withExamples(program, [
    ['murmur up', 'from nothing to a fleet that has learned, in a cluster of its own'],
    ['murmur status', 'is it fine, what is happening, what can be done next'],
  ]);
  program.commandsGroup('For people:');
  addUp(program, io);
  addDown(program, io);
  addStatus(program, io);
  addTop(program, io);
  addPredict(program, io);
  addPlot(program, io);
  addSearch(program, io);
  addPull(program, io);
  addUser(program, io);
  addKey(program, io);
  program.commandsGroup('Run by pods:');
  addOperator(program, io);
  addValidator(program, io);
  addSigner(program, io);
  pointToHelp(program, 'murmur');
  debugAnywhere(program);
  return program;
}

function addUp(program: Command, io: Io): void {
  const up = program
    .command('up')
    .description('Make a cluster, install the operator, apply a manifest and show the fleet until it has learned.')
    .option('--manifest <file>', 'what to apply', defaultManifest)
    .option('--name <name>', 'name of the kind cluster and of the Helm release', 'murmuration')
    .addOption(
      new Option('--timeout <duration>', 'how long the model may take to converge, once it is applied')
        .argParser(readDuration)
        .default(15 * minute, '15 min'),
    );
  withOutput(withCluster(up));
  withExamples(up, [
    ['murmur up', 'a kind cluster of three nodes with the fleet of manifests/validator.yaml'],
    ['CLUSTER=current murmur up --context prod', 'the same in a cluster that is there already'],
  ]).action(async (flags) => (await import('./commands/up.ts')).up({ ...flags, ...program.opts() }, io));
}

function addDown(program: Command, io: Io): void {
  const down = program
    .command('down')
    .description('Remove what `murmur up` made, and nothing else.')
    .option('--manifest <file>', 'what was applied (matters with CLUSTER=current)', defaultManifest)
    .option('--name <name>', 'name of the kind cluster and of the Helm release', 'murmuration');
  withExamples(withCluster(down), [
    ['murmur down', 'delete the kind cluster, and stop the Docker daemon where `up` started it'],
    ['CLUSTER=current murmur down', 'delete the objects of the manifest and the release, keep the cluster'],
  ]).action(async (flags) => (await import('./commands/down.ts')).down({ ...flags, ...program.opts() }, io));
}

function addStatus(program: Command, io: Io): void {
  const status = program.command('status').description('Show models, validators and problems once.');
  withExamples(withOutput(withCluster(status)), [
    ['murmur status', 'a table for people'],
    ['murmur status -o json', 'the same for programs (fields: docs/cli.md)'],
  ]).action(async (flags) => (await import('./commands/status.ts')).status(flags, io));
}

function addTop(program: Command, io: Io): void {
  const top = program
    .command('top')
    .description('Show models, validators and problems, redrawn as they change. Ctrl-C ends it.')
    .addOption(
      new Option('--every <duration>', 'time between two looks').argParser(readDuration).default(second, '1 s'),
    );
  withExamples(withCluster(top), [
    ['murmur top', 'the fleet in the namespace of the context'],
    ['murmur top -n vision --every 5s', 'another namespace, at a calmer pace'],
  ]).action(async (flags) => (await import('./commands/top.ts')).top(flags, io));
}

function addPredict(program: Command, io: Io): void {
  const predict = program
    .command('predict')
    .description('Ask the fleet what its model says of some rows.')
    .argument('<model>', 'name of the Model')
    .requiredOption(
      '--file <file>',
      'JSON: {"instances": [[..], ..]}, a list of rows, or one row; - reads standard input',
    );
  withExamples(withOutput(withCluster(predict)), [
    ['murmur predict digits --file samples/seven.json', 'class and probability of each row'],
    ['murmur predict digits --file - -o json < rows.json', 'the answer as the validator gives it'],
  ]).action(async (model, flags) => (await import('./commands/predict.ts')).predict({ ...flags, model }, io));
}

function addPlot(program: Command, io: Io): void {
  const plot = program
    .command('plot')
    .description('Draw how a model learned: accuracy, loss and divergence of each validator, their mean, the target.')
    .argument('<model>', 'name of the Model')
    .addOption(
      new Option('-o, --output <format>', 'svg for a picture, json for the points')
        .choices(['svg', 'json'])
        .default('svg'),
    )
    .option('--file <file>', 'file to write; - for standard output (default: <model>.svg on a terminal, else -)')
    .addOption(new Option('--width <pixels>', 'of the picture').argParser(readCount).default(960))
    .addOption(new Option('--height <pixels>', 'of the picture').argParser(readCount).default(640));
  withExamples(withCluster(plot), [
    ['murmur plot digits', 'writes digits.svg'],
    ['murmur plot digits -o json', 'the points, for programs'],
  ]).action(async (model, flags) => (await import('./commands/plot.ts')).plot({ ...flags, model }, io));
}

function addSearch(program: Command, io: Io): void {
  const search = program
    .command('search')
    .description('Find models by words in their name, task and labels. All words must be there.')
    .argument('[words...]', 'words to find; all models where there are none')
    .addOption(
      new Option('-o, --output <format>', 'wide for whole CIDs and holders, json for programs').choices([
        'json',
        'wide',
      ]),
    );
  withExamples(withCluster(search), [
    ['murmur search digits', 'models with "digits" in name, task or labels, and who holds them'],
    ['murmur search classification team=vision -o wide', 'two words, one of them a label; with the whole CID'],
  ]).action(async (words, flags) => (await import('./commands/search.ts')).search({ ...flags, words }, io));
}

function addPull(program: Command, io: Io): void {
  const pull = program
    .command('pull')
    .description('Fetch a certified model, check its signatures and every byte, and write it for TensorFlow.js.')
    .argument('<model>', 'name of the Model')
    .option('--out <folder>', 'folder to make (default: one with the name of the model)')
    .option('--version <cid>', 'version to fetch (default: the newest that is certified)')
    .option('--authority <peer id>', 'who must have signed the charter (default: as the cluster has it recorded)');
  withExamples(withOutput(withCluster(pull)), [
    ['murmur pull digits', 'the newest certified version, into ./digits'],
    ['murmur pull digits --out model-7 --version bafyrei...', 'one version, found with murmur search -o wide'],
  ]).action(async (model, flags) =>
    (await import('./commands/pull.ts')).pull({ ...flags, model, release: releaseVersion() }, io),
  );
}

function addUser(program: Command, io: Io): void {
  const user = program
    .command('user')
    .description('Take part in a model with your own rows, without running a validator.');
  withExamples(user, [
    [
      'murmur user join digits --data mine.csv',
      'send your rows, sealed to three validators, and models trained on them',
    ],
    ['murmur user leave digits', 'have your rows forgotten now'],
  ]);
  const join = user
    .command('join')
    .description('Train on your rows, and send rows (sealed), models or both to validators found in the DHT.')
    .argument('<model>', 'name of the Model; its spec has to have data.users')
    .requiredOption('--data <file>', 'your records: CSV, NumPy arrays or PNG images, as the model takes them')
    .addOption(
      new Option('--share <what>', 'data: rows only; model: no row leaves this machine')
        .choices(['data', 'model', 'both'])
        .default('both'),
    )
    .addOption(new Option('--to <count>', 'validators to send to').argParser(readCount).default(3))
    .addOption(new Option('--rounds <count>', 'rounds (default: 1 for data, else 10)').argParser(readCount))
    .option('--watch', 'go on until Ctrl-C', false)
    .option('--label <column>', 'label column (default: that of the model)')
    .option('--name <name>', 'what you are called in the cluster', 'user')
    .option('--identity <file>', 'your key; made where there is none (default: ~/.config/murmuration/user.key)')
    .addOption(
      new Option('--for <duration>', 'how long you are let in; rows are forgotten then at the latest')
        .argParser(readDuration)
        .default(86_400 * second, '24 h'),
    )
    .option('--authority <peer id>', 'who must have signed the charter (default: as the cluster has it recorded)');
  withExamples(withOutput(withCluster(join)), [
    ['murmur user join digits --data mine.csv', 'rows and models, to three validators, ten rounds'],
    ['murmur user join digits --data mine.csv --share model --watch', 'models only, until Ctrl-C'],
    ['murmur user join digits --data mine.csv --share data --to 1 --for 1h', 'rows, to one validator, for an hour'],
  ]).action(async (model, flags) =>
    (await import('./commands/user.ts')).userJoin({ ...flags, ...program.opts(), model }, io),
  );
  const leave = user
    .command('leave')
    .description('Have validators forget your rows, and leave the network.')
    .argument('<model>', 'name of the Model')
    .option('--identity <file>', 'your key (default: ~/.config/murmuration/user.key)')
    .option('--authority <peer id>', 'who must have signed the charter (default: as the cluster has it recorded)');
  withExamples(withOutput(withCluster(leave)), [
    ['murmur user leave digits', 'with the identity that joined'],
    ['murmur user leave digits --identity other.key', 'with another one'],
  ]).action(async (model, flags) =>
    (await import('./commands/user.ts')).userLeave({ ...flags, ...program.opts(), model }, io),
  );
}

function addKey(program: Command, io: Io): void {
  const key = program.command('key').description('Keys that cannot be made again.');
  withExamples(key, [['murmur key export --out authority.yaml', 'back the authority key up']]);
  const exported = key
    .command('export')
    .description('Write the authority key, the one that signs charters, as a Secret that can be applied again.')
    .requiredOption('--out <file>', 'file to make (mode 0600, never written over); - writes to standard output');
  withExamples(withCluster(exported), [
    ['murmur key export --out authority.yaml', 'then keep the file where the cluster is not'],
    ['murmur key export --out - | age -r KEY > authority.age', 'never on disk in the clear'],
  ]).action(async (flags) => (await import('./commands/key-export.ts')).keyExport(flags, io));
}

function addOperator(program: Command, io: Io): void {
  const operator = program
    .command('operator')
    .description('Run the operator: keeps fleets as their specs say. Reads POD_NAME and POD_NAMESPACE.')
    .option('--namespace <name>', 'namespace of the operator itself (default: $POD_NAMESPACE)')
    .option('--watch-namespaces <names>', 'namespaces to serve, with commas (default: all)', readNames)
    .option('--leader-elect', 'take a lease, so that of several operators one writes', false)
    .option('--metrics-address <host:port>', 'where /metrics is served; 0 for nowhere', readAddress, ':8080')
    .option(
      '--health-address <host:port>',
      'where /healthz and /readyz are served; 0 for nowhere',
      readAddress,
      ':8081',
    )
    .requiredOption(
      '--image <image>',
      'image of validators whose spec names none (default: $MURMURATION_IMAGE)',
      io.env.MURMURATION_IMAGE,
    )
    .option('--kubeconfig <file>', 'kubeconfig, outside a cluster (default: $KUBECONFIG, ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)');
  withExamples(operator, [
    ['murmur operator --leader-elect --image murmuration:0.1.0', 'as the chart runs it'],
    ['murmur operator --namespace default --image murmuration:0.1.0', 'from a desk, against the current context'],
  ]).action(async (flags) => (await import('./commands/operator.ts')).operator({ ...flags, ...program.opts() }, io));
}

function addValidator(program: Command, io: Io): void {
  const validator = program
    .command('validator')
    .description('Run one validator: learns, gossips, holds chunks, votes, serves.')
    .requiredOption('--name <name>', 'name of the ValidatorNode')
    .requiredOption('--network <namespace/network>', 'overlay to join', readNetwork)
    .requiredOption('--authority <peer id>', 'who signs the charter')
    .option('--identity <file>', 'libp2p identity key', '/keys/identity/identity.key')
    .option('--charter <file>', 'where the newest charter is mounted', '/etc/murmuration/charter/charter.bin')
    .option('--state-dir <folder>', 'folder that outlives the pod', '/var/lib/murmuration/validator')
    .option('--signer <socket>', 'Unix socket of the signer', '/run/murmuration/signer.sock')
    .option('--listen <multiaddr>', 'where peers reach it', '/ip4/0.0.0.0/tcp/4001')
    .option(
      '--http <host:port>',
      'where health, metrics, status and predictions are served',
      readAddress,
      '0.0.0.0:8080',
    )
    .option('--blocks <host:port>', 'where blocks of models are served, unencrypted', readAddress, '127.0.0.1:8081')
    .option('--mounts <folder>', 'folder with mounted data', '/data')
    .option('--own-data <file>', 'data of this validator alone, for models with partition: own');
  withExamples(validator, [
    ['murmur validator --name flock-0 --network default/default --authority 12D3Koo...', 'as the operator runs it'],
    [
      'murmur validator ... --state-dir /tmp/flock-0 --http 127.0.0.1:8090 --blocks 127.0.0.1:8091',
      'beside another one on a desk',
    ],
  ]).action(async (flags) => (await import('./commands/validator.ts')).validator({ ...flags, ...program.opts() }, io));
}

function addSigner(program: Command, io: Io): void {
  const signer = program
    .command('signer')
    .description('Run the signer: the only process that can read the stake key. Never signs two votes for one age.')
    .option('--key <file>', 'stake key', '/keys/stake/stake.key')
    .option('--socket <file>', 'Unix socket to listen on', '/run/murmuration/signer.sock')
    .option('--state-dir <folder>', 'folder of the protection store', '/var/lib/murmuration');
  withExamples(signer, [
    ['murmur signer', 'as the operator runs it'],
    ['murmur signer --key ./stake.key --socket ./signer.sock --state-dir ./protection', 'on a desk'],
  ]).action(async (flags) => (await import('./commands/signer.ts')).signer({ ...flags, ...program.opts() }, io));
}

/** After every misuse: where to read how it is meant. */
function pointToHelp(command: Command, name: string): void {
  command.showHelpAfterError(`Fix: see ${name} --help`);
  for (const child of command.commands) pointToHelp(child, `${name} ${child.name()}`);
}

/** `--debug` is taken after a command too. */
function debugAnywhere(command: Command): void {
  for (const child of command.commands) {
    if (child.commands.length === 0) child.addOption(new Option('--debug').hideHelp());
    debugAnywhere(child);
  }
}

function releaseVersion(): string {
  const file = JSON.parse(readFileSync(`${projectFolder}package.json`, 'utf8')) as { readonly version: string };
  return file.version;
}
