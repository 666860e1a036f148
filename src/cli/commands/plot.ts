import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { withConnection } from '../cluster/connection.ts';
import { failed, misused, reasonOf } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import { listFleets } from '../fleet/read.ts';
import type { Io, Output } from '../io.ts';
import { askCurves, maxValidators } from '../plot/ask.ts';
import { plot as draw } from '../plot/svg.ts';
import { chooseModel, runningFor } from '../predict/choose.ts';
import { printJson } from '../render/json.ts';
import { plural } from '../render/numbers.ts';

/** Flags of `murmur plot`. */
export interface PlotFlags extends ClusterFlags {
  readonly model: string;
  readonly output: 'svg' | 'json';
  /** `-` for standard output. */
  readonly file?: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Smallest and largest side of a picture. */
const sides = { least: 200, most: 10_000 };

/** Draws how a model learned, by what its validators remember. */
export async function plot(flags: PlotFlags, io: Io): Promise<void> {
  const { model, output, width, height } = flags;
  if ([width, height].some((side) => side < sides.least || side > sides.most)) {
    throw misused(
      `A picture of ${width} x ${height} pixels cannot be drawn.`,
      `Give --width and --height from ${sides.least} to ${sides.most}.`,
    );
  }
  const { curves, target, namespace, network } = await withConnection(flags, io, async (connection) => {
    const { client, transport, namespace } = connection;
    const listed = await listFleets(client, namespace, io.signal);
    const found = chooseModel(listed, model, namespace);
    const running = runningFor(found, listed, namespace);
    const made = Date.parse(found.metadata.creationTimestamp ?? '');
    const between = { from: Number.isFinite(made) ? made : 0, to: io.now() };
    const asked = running.slice(0, maxValidators);
    const { curves, refusals } = await askCurves({ transport, namespace }, model, asked, between, io.signal);
    if (curves.length === 0) {
      throw failed(
        `No validator remembers how model ${model} learned. ${refusals.map((one) => `${one}. `).join('')}`.trim(),
        `Wait until it has learned for some seconds, or see how it is: murmur status -n ${namespace}`,
      );
    }
    for (const refusal of refusals) io.err.write(`One curve is missing: ${refusal}.\n`);
    if (running.length > asked.length)
      io.err.write(`Asked ${asked.length} of ${running.length} validators; more cannot be told apart.\n`);
    const { target } = found.spec.learning;
    return {
      curves: curves.toSorted((a, b) => a.validator.localeCompare(b.validator, 'en', { numeric: true })),
      target: target && { metric: target.metric, value: Number(target.value) },
      namespace,
      network: found.spec.network,
    };
  });
  const { text, out } = collected();
  if (output === 'json') printJson(out, 'LearningCurves', { namespace, network, model, target, curves });
  else out.write(draw(curves, { model, target, width, height }));
  const file = flags.file ?? (output === 'svg' && io.out.isTTY === true ? `${model}.svg` : '-');
  if (file === '-') {
    io.out.write(text());
    return;
  }
  try {
    await writeFile(resolve(io.folder, file), text());
  } catch (error) {
    throw failed(
      `The file ${file} cannot be written: ${reasonOf(error)}.`,
      'Give another --file, or - for standard output.',
    );
  }
  const points = curves.reduce((sum, curve) => sum + curve.points.length, 0);
  io.err.write(`Wrote ${file}: ${plural(points, 'point')} of ${plural(curves.length, 'validator')}.\n`);
}

/** An output that keeps what is written. */
function collected(): { readonly out: Output; readonly text: () => string } {
  const parts: string[] = [];
  return { out: { write: (text) => parts.push(text) }, text: () => parts.join('') };
}
