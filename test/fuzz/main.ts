import { parseArgs } from 'node:util';
import { campaign } from './campaign.ts';

const HELP = `Hostile members against a validator that runs, over real libp2p streams.

They send random bytes, torn and endless frames, valid CBOR of the wrong shape, wishes by the million, maps of versions that do not
exist, chunks that nobody asked for, and knock at the port by the hundred. The validator must stay up with bounded memory,
certify on with its friend, and think less of them.

  npm run fuzz:wire -- --minutes 10            ten minutes from seed 1
  npm run fuzz:wire -- --seed 7 --minutes 1

  --seed N      where chance begins (default 1); what interleaves how is not repeated by it
  --minutes M   how long (default 2)
  --help

Exits 1 where something escaped or the validator did not go on.
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
} else {
  const seed = Number(values.seed);
  const minutes = Number(values.minutes);
  if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
    process.stderr.write('--seed takes a whole number, --minutes a number above 0\n');
    process.exit(2);
  }
  const outcome = await campaign({
    seed,
    forMs: minutes * 60_000,
    tell: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${JSON.stringify(outcome, undefined, 2)}\n`);
  process.exit(outcome.escaped.length === 0 ? 0 : 1);
}
