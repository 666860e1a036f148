import type { KindName } from '../../../src/api/index.ts';
import { type Random, seeded, seedOf } from '../../../src/learning/random.ts';
import type { TestApi } from '../../apiserver/harness.ts';
import type { Any } from './cluster.ts';
import { homeSpec } from './home.ts';
import { deck, describeMutation, drawMutation, type Mutation, mutated, pathText, pick, type Spec } from './mutation.ts';
import { refusalProblems } from './refusal.ts';
import { differences, type Snapshot } from './snapshot.ts';
import { nameFor, type Target, World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Numbers of the steps to take, from the small world on. */
  readonly steps: readonly number[];
  readonly keepGoing: boolean;
  readonly say: (line: string) => void;
}

export interface Totals {
  readonly steps: number;
  readonly mutations: number;
  readonly refused: number;
  readonly failed: readonly number[];
}

/** Validators and shards that a step may ask for: more are a matter for a bench, not for a test of specs. */
const MOST_VALIDATORS = 5;
const MOST_SHARDS = 16;
const KINDS_OF_PEOPLE: readonly KindName[] = ['ValidatorNode', 'ValidatorFleet', 'Model', 'ModelShard'];
/** Chances of what a step may do besides. */
const CHANCE = { guest: 0.35, child: 0.2, second: 0.25, evict: 0.15, hasty: 0.15 } as const;

/** So many steps of a seed are of other cards than those of the next. */
const STRIDE = 100;
const DECK = deck(isDear);

/** What a step is to do, drawn from seed and number alone. */
interface Step {
  readonly number: number;
  readonly random: Random;
  /** Its first mutation. */
  readonly card: Mutation;
  /** A pod that goes right before. */
  readonly evicted: string | undefined;
  /** Goes back before the system has come to rest. */
  readonly hasty: boolean;
}

/** One world from one seed. */
export async function run(api: TestApi, { seed, steps, keepGoing, say }: RunOptions): Promise<Totals> {
  const world = await World.begin(api);
  const totals = { steps: 0, mutations: 0, refused: 0, failed: [] as number[] };
  try {
    let { snapshot: base, problems: first } = await world.untilAtRest();
    if (first.length > 0)
      throw new Error(`seed ${seed}: the small world is not fine to begin with:\n${first.join('\n')}`);
    for (const number of steps) {
      const outcome = await new StepRun(world, base, draw(seed, number)).take();
      totals.steps += 1;
      totals.mutations += outcome.mutations;
      totals.refused += outcome.refused;
      say(`seed ${seed} step ${number}: ${outcome.story.join('; ')}`);
      if (outcome.problems.length > 0) {
        totals.failed.push(number);
        say(`seed ${seed} step ${number} FAILED:\n${outcome.problems.map((problem) => `    ${problem}`).join('\n')}`);
        for (const line of outcome.world) say(`    ${line}`);
        if (!keepGoing) break;
      }
      base = outcome.base;
    }
  } finally {
    await world.end();
  }
  return totals;
}

function draw(seed: number, number: number): Step {
  const random = seeded(seedOf(`${seed}/${number}`));
  const evicted = random() < CHANCE.evict ? pick(['flock-0', 'flock-1', 'solo'], random) : undefined;
  // Neighbouring seeds take different cards, and so try all of them together.
  const card = DECK[(seed * STRIDE + number) % DECK.length] as Mutation;
  return { number, random, card: { ...card, alongside: random() < 0.85 }, evicted, hasty: random() < CHANCE.hasty };
}

/** Too many objects for the machine, not too hard for the operator. */
function isDear({ field, value }: Mutation): boolean {
  const name = pathText(field);
  if (typeof value !== 'number' || typeof field.schema.maximum !== 'number' || value > field.schema.maximum)
    return false;
  if (field.kind === 'ValidatorFleet' && name === 'replicas') return value > MOST_VALIDATORS;
  return field.kind === 'Model' && name === 'shards.count' && value > MOST_SHARDS;
}

interface Outcome {
  readonly story: readonly string[];
  readonly problems: readonly string[];
  /** The world before and after, in brief. */
  readonly world: readonly string[];
  /** The state at rest that the next step begins from. */
  readonly base: Snapshot;
  readonly mutations: number;
  readonly refused: number;
}

/** A spec that was written, and the one that was there. */
interface Written {
  readonly target: Target;
  readonly before: Spec | undefined;
}

class StepRun {
  readonly #world: World;
  readonly #base: Snapshot;
  readonly #step: Step;
  readonly #story: string[] = [];
  readonly #problems: string[] = [];
  readonly #written: Written[] = [];
  #mutations = 0;
  #refused = 0;

  constructor(world: World, base: Snapshot, step: Step) {
    this.#world = world;
    this.#base = base;
    this.#step = step;
  }

  async take(): Promise<Outcome> {
    const { random, evicted, hasty } = this.#step;
    if (evicted !== undefined) {
      this.#story.push(`pod ${evicted} goes`);
      await this.#world.evict(evicted);
    }
    const times = random() < CHANCE.second ? 2 : 1;
    for (let time = 0; time < times; time++) await this.#mutate(time === 0 ? this.#step.card : undefined);
    // What was refused changed nothing, so there is nothing to wait for.
    if (this.#written.length === 0 && evicted === undefined) return this.#outcome(this.#base, this.#base);
    let mutatedWorld = this.#base;
    if (hasty) this.#story.push('at once');
    else mutatedWorld = await this.#rest('');
    await this.#goBack();
    const after = await this.#rest('back: ');
    this.#problems.push(...this.#restored(after).map((line) => `back: ${line}`));
    return this.#outcome(mutatedWorld, after);
  }

  #outcome(mutatedWorld: Snapshot, after: Snapshot): Outcome {
    return {
      story: this.#story,
      problems: this.#problems,
      world: [`before: ${brief(this.#base)}`, `after:  ${brief(mutatedWorld)}`, `back:   ${brief(after)}`],
      base: after,
      mutations: this.#mutations,
      refused: this.#refused,
    };
  }

  async #mutate(card: Mutation | undefined): Promise<void> {
    const { random } = this.#step;
    const kind = card?.field.kind ?? pick(KINDS_OF_PEOPLE, random);
    const mutation = card ?? drawMutation(kind, random, isDear);
    const all = random() < CHANCE.child ? this.#world.children : this.#world.people;
    const targets = all.filter((one) => one.kind === kind);
    if (targets.length === 0 || random() < CHANCE.guest) return this.#invite(mutation);
    const target = pick(targets, random);
    const before = await this.#world.present(target);
    if (before === undefined) return;
    await this.#send(target, before, mutated(before, mutation), mutation);
  }

  /** A new object with the mutation in it: the way to try what cannot be changed later. */
  async #invite(mutation: Mutation): Promise<void> {
    const { kind } = mutation.field;
    const spec = mutated(homeSpec(kind), mutation);
    const name = nameFor(kind, 'guest', spec);
    if (this.#written.some(({ target }) => target.name === name)) return;
    await this.#send({ kind, name, hand: 'replace' }, undefined, spec, mutation);
  }

  async #send(target: Target, before: Spec | undefined, spec: Spec, mutation: Mutation): Promise<void> {
    const answer = await this.#world.write(target, spec);
    this.#mutations += 1;
    const what = `${before === undefined ? 'new ' : ''}${target.kind} ${target.name.slice(0, 20)} ${describeMutation(mutation)}`;
    if (answer.code < 300) {
      this.#story.push(what);
      this.#written.push({ target, before });
      return;
    }
    this.#refused += 1;
    this.#story.push(`${what}: refused`);
    this.#problems.push(...refusalProblems(answer, mutation).map((problem) => `${what} ${problem}`));
  }

  async #rest(when: string): Promise<Snapshot> {
    const { snapshot, problems } = await this.#world.untilAtRest();
    this.#problems.push(...problems.map((problem) => `${when}${problem}`));
    return snapshot;
  }

  /** The last change first. What may never go back is said so, and by its name. */
  async #goBack(): Promise<void> {
    for (const { target, before } of this.#written.toReversed()) {
      if (before === undefined) {
        await this.#world.remove(target);
        continue;
      }
      const { code, body } = await this.#world.write(target, before);
      if (code < 300) continue;
      const message = String(body?.message);
      this.#story.push(`no way back: ${message.slice(0, 200)}`);
      if (!/can grow but not shrink/.test(message))
        this.#problems.push(`back: ${target.kind} ${target.name}: ${message}`);
    }
  }

  #restored(after: Snapshot): readonly string[] {
    // What only grows stays grown, and so does what follows from it.
    if (this.#story.some((line) => line.startsWith('no way back'))) return [];
    return differences(this.#base, after).filter((line) => !this.#isRetained(line));
  }

  /** What is to outlive its validator goes on with the next of the name, and goes with it where that one says so. */
  #isRetained(line: string): boolean {
    return [...this.#world.retained].some((node) =>
      ['secrets', 'persistentvolumeclaims'].some((plural) => line.slice(2).startsWith(`${plural}/${node}-`)),
    );
  }
}

function brief(snapshot: Snapshot): string {
  const ours = (['validatorfleets', 'validatornodes', 'models', 'modelshards'] as const).flatMap((plural) =>
    snapshot.of(plural).map(({ metadata, status }: Any) => {
      const ready = status?.conditions?.find(({ type }: Any) => type === 'Ready');
      return `${metadata.name}@${metadata.generation} ${ready?.status === 'True' ? 'ready' : (ready?.reason ?? 'unjudged')}`;
    }),
  );
  return ours.join(', ');
}
