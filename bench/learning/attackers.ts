import { encodeFrame } from '../../src/learning/frame.ts';
import type { Random } from '../../src/learning/random.ts';
import { packingOf } from '../../src/learning/strategies.ts';
import { type Driven, driven, type Peer } from './simulator.ts';

/** Who wants to do harm: takes part as everybody does, and knows all honest models. */
export type Attack = (self: Peer, fleet: readonly Peer[], random: Random) => Driven;

/** An attacker that sends other weights than its own, with the age that it has. */
const sending =
  (craft: (own: Float32Array, honest: () => readonly Float32Array[], random: Random) => Float32Array): Attack =>
  (self, fleet, random) => ({
    ...driven(self.participant),
    message: async () => {
      const { flat, age } = self.participant.own;
      const honest = () => fleet.filter(({ isHonest }) => isHonest).map(({ participant }) => participant.own.flat);
      const weights = craft(flat, honest, random);
      return encodeFrame('simulated', { way: 'peer', age, weights }, self.layout, packingOf({ bits: 32 }));
    },
  });

/** Attacks on a fleet that learns the digits or anything else with softmax. */
export const ATTACKS = {
  /** The opposite, four times as long. */
  'sign flip x4': sending((own) => own.map((w) => -4 * w)),
  /** Noise three times as long as the model. */
  noise: sending((own, _, random) => {
    const size = 3 * Math.sqrt(own.reduce((sum, w) => sum + w * w, 0) / own.length);
    return own.map((w) => w + size * normal(random));
  }),
  /** A little is enough (Baruch et al. 2019): as far from the honest mean as an honest model could just be. */
  ALIE: sending((_, honest) => {
    const { mean, deviation } = moments(honest());
    return mean.map((m, i) => m - 1.5 * (deviation[i] as number));
  }),
  /** Inner product manipulation (Xie et al. 2020): half of the honest mean, the other way. */
  IPM: sending((_, honest) => moments(honest()).mean.map((m) => -0.5 * m)),
  /** Honest work on wrong labels; the trainee does it. */
  'label roll': (self) => driven(self.participant),
  /** What it had learned after its fifth update, as if it were new. */
  replay: (self) => {
    let old: Float32Array | undefined;
    let updates = 0;
    return {
      ...driven(self.participant),
      update: async () => {
        if (updates++ === 5) old = self.participant.own.flat.slice();
        return self.participant.update();
      },
      message: async () => {
        const { flat, age } = self.participant.own;
        const parcel = { way: 'peer', age, weights: old ?? flat } as const;
        return encodeFrame('simulated', parcel, self.layout, packingOf({ bits: 32 }));
      },
    };
  },
  /** Passes on what it heard last as its own. */
  copy: (self) => {
    let heard: Uint8Array | undefined;
    const own = driven(self.participant);
    return {
      ...own,
      merge: (bytes, sender) => {
        heard = bytes;
        return own.merge(bytes, sender);
      },
      message: async (way) => heard ?? own.message(way),
    };
  },
  /** Never trains. */
  'free rider': (self) => ({
    ...driven(self.participant),
    update: async () => ({ age: self.participant.own.age, loss: 0 }),
  }),
} as const satisfies Readonly<Record<string, Attack>>;
export type AttackName = keyof typeof ATTACKS;

function moments(models: readonly Float32Array[]): { readonly mean: Float32Array; readonly deviation: Float32Array } {
  const size = models[0]?.length ?? 0;
  const [mean, deviation] = [new Float32Array(size), new Float32Array(size)];
  for (let i = 0; i < size; i++) {
    let [sum, squares] = [0, 0];
    for (const model of models) {
      const w = model[i] as number;
      sum += w;
      squares += w * w;
    }
    const m = sum / models.length;
    mean[i] = m;
    deviation[i] = Math.sqrt(Math.max(0, squares / models.length - m * m));
  }
  return { mean, deviation };
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
