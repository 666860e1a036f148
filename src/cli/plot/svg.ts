/** Learning curves as a picture. Pure. */
import { duration } from '../render/duration.ts';
import { plural } from '../render/numbers.ts';
import type { Curve, Sample } from './ask.ts';

/** What is drawn, and how large. */
export interface PlotOptions {
  readonly model: string;
  readonly target?: { readonly metric: 'accuracy' | 'loss'; readonly value: number } | undefined;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

type Metric = 'accuracy' | 'loss' | 'divergence';
interface Spot {
  /** ms since the first point of all. */
  readonly t: number;
  readonly y: number;
}
interface Line {
  readonly validator: string;
  readonly spots: readonly Spot[];
}
interface Panel {
  readonly metric: Metric;
  readonly lines: readonly Line[];
  /** Upper end of the axis; the lower one is 0. */
  readonly top: number;
}
interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Lines are told apart by colour and name up to so many. */
const namedLines = 12;
/** Places at which a mean is taken. */
const meanPlaces = 200;
const margin = { left: 56, right: 16, top: 44, between: 26, bottom: 40, legend: 18 };
const colours = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#997700', '#44bb99'];

/** An SVG document: a panel each for accuracy, loss and divergence, as far as something is known of them. */
export function plot(curves: readonly Curve[], options: PlotOptions): string {
  const { model, width, height, target } = options;
  const start = Math.min(...curves.flatMap(({ points }) => points.map(({ at }) => at)));
  const end = Math.max(...curves.flatMap(({ points }) => points.map(({ at }) => at)));
  const span = Math.max(1000, end - start) || 1000;
  const panels = (['accuracy', 'loss', 'divergence'] as const).flatMap((metric) =>
    panelOf(metric, curves, start, target),
  );
  const legend = legendOf(curves, target !== undefined, width);
  const free = height - margin.top - margin.bottom - legend.rows * margin.legend - margin.between * (panels.length - 1);
  const each = Math.max(20, free / Math.max(1, panels.length));
  const boxes = panels.map((_, index): Box => {
    const top = margin.top + index * (each + margin.between);
    return { left: margin.left, right: width - margin.right, top, bottom: top + each };
  });
  const last = boxes.at(-1)?.bottom ?? height - margin.bottom;
  const title = `How model ${model} learns`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="desc">${escaped(describe(curves, panels, span, options))}</desc>`,
    `<style>${style}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    `<text class="head" x="${margin.left}" y="22">${escaped(title)}</text>`,
    ...panels.flatMap((panel, index) => drawPanel(panel, boxes[index] as Box, span, index, target)),
    ...timeAxis(span, { left: margin.left, right: width - margin.right, top: last, bottom: last }),
    ...legend.draw(last + margin.bottom),
    '</svg>',
    '',
  ].join('\n');
}

/** In light and dark, on whatever page it stands. */
const style =
  '.paper{fill:#fff}text{fill:#333;font:12px system-ui,sans-serif}.head{font-size:15px;font-weight:600}' +
  '.axis,.grid{fill:none;stroke:#999}.grid{stroke-opacity:.3}.one{fill:none;stroke-width:1;stroke-opacity:.7}' +
  '.mean{fill:none;stroke:#111;stroke-width:2.5}.target{fill:none;stroke:#c00;stroke-width:1.5;stroke-dasharray:6 4}' +
  '@media(prefers-color-scheme:dark){.paper{fill:#16181d}text{fill:#ddd}.mean{stroke:#fff}.target{stroke:#f77}}';

function panelOf(
  metric: Metric,
  curves: readonly Curve[],
  start: number,
  target: PlotOptions['target'],
): readonly Panel[] {
  const lines = curves.flatMap(({ validator, points }): Line[] => {
    const spots = points.flatMap((point: Sample) => {
      const y = point[metric];
      return y === null || !Number.isFinite(y) ? [] : [{ t: point.at - start, y }];
    });
    return spots.length === 0 ? [] : [{ validator, spots }];
  });
  if (lines.length === 0) return [];
  if (metric === 'accuracy') return [{ metric, lines, top: 1 }];
  // One validator that tells nonsense does not make all others flat.
  const highest = lines.map(({ spots }) => Math.max(...spots.map(({ y }) => y)));
  const usual = highest.toSorted((a, b) => a - b)[highest.length >> 1] ?? 1;
  const wanted = target?.metric === metric ? target.value : 0;
  return [{ metric, lines, top: round(Math.max(Math.min(Math.max(...highest), 2 * usual), wanted * 1.1, 1e-6)) }];
}

function drawPanel(
  { metric, lines, top }: Panel,
  box: Box,
  span: number,
  index: number,
  target: PlotOptions['target'],
): readonly string[] {
  const x = (t: number): number => box.left + (t / span) * (box.right - box.left);
  const y = (value: number): number => box.bottom - (value / top) * (box.bottom - box.top);
  const path = (spots: readonly Spot[]): string =>
    spots.map((spot, nth) => `${nth === 0 ? 'M' : 'L'}${px(x(spot.t))} ${px(y(spot.y))}`).join('');
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * top);
  const clip = `clip${index}`;
  const aim = target?.metric === metric ? target.value : undefined;
  return [
    `<clipPath id="${clip}"><rect x="${box.left}" y="${px(box.top - 2)}" width="${px(box.right - box.left)}" height="${px(box.bottom - box.top + 4)}"/></clipPath>`,
    `<g aria-label="${metric}">`,
    `<text x="${box.left}" y="${px(box.top - 7)}">${metric}</text>`,
    ...ticks.flatMap((tick) => [
      `<path class="grid" d="M${box.left} ${px(y(tick))}H${box.right}"/>`,
      `<text x="${box.left - 6}" y="${px(y(tick) + 4)}" text-anchor="end">${tickText(tick)}</text>`,
    ]),
    `<path class="axis" d="M${box.left} ${px(box.top)}V${px(box.bottom)}H${box.right}"/>`,
    `<g clip-path="url(#${clip})">`,
    ...lines.map(
      ({ validator, spots }, nth) =>
        `<path class="one" stroke="${colourOf(nth)}" d="${path(spots)}"><title>${escaped(validator)}</title></path>`,
    ),
    `<path class="mean" d="${path(meanOf(lines, span))}"/>`,
    ...(aim === undefined ? [] : [`<path class="target" d="M${box.left} ${px(y(aim))}H${box.right}"/>`]),
    '</g>',
    '</g>',
  ];
}

/** Where at least half of the lines are, their mean; between two points of a line, the straight way between them. */
export function meanOf(lines: readonly Line[], span: number): readonly Spot[] {
  const places = Array.from({ length: meanPlaces + 1 }, (_, index) => (index / meanPlaces) * span);
  const next = lines.map(() => 0);
  return places.flatMap((t) => {
    const values = lines.flatMap(({ spots }, nth) => {
      let to = next[nth] as number;
      while (to < spots.length && (spots[to] as Spot).t < t) to += 1;
      next[nth] = to;
      const [before, after] = [spots[to - 1], spots[to]];
      if (after?.t === t) return [after.y];
      if (before === undefined || after === undefined) return [];
      return [before.y + ((after.y - before.y) * (t - before.t)) / (after.t - before.t)];
    });
    if (values.length === 0 || values.length * 2 < lines.length) return [];
    return [{ t, y: values.reduce((sum, value) => sum + value, 0) / values.length }];
  });
}

function timeAxis(span: number, { left, right, top }: Box): readonly string[] {
  const step = timeSteps.find((one) => span / one <= 6) ?? niceAbove(span / 6);
  const count = Math.floor(span / step);
  const places = Array.from({ length: count + 1 }, (_, index) => index * step);
  return [
    ...places.map((t) => {
      const x = px(left + (t / span) * (right - left));
      return `<text x="${x}" y="${px(top + 16)}" text-anchor="middle">${t === 0 ? '0' : duration(t)}</text>`;
    }),
    `<text x="${px((left + right) / 2)}" y="${px(top + 32)}" text-anchor="middle">time since the first point</text>`,
  ];
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const timeSteps = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 4, 8, 12, 24].map((n) => n * hour),
];
/** Whole days. */
const niceAbove = (ms: number): number => Math.ceil(ms / (24 * hour)) * 24 * hour;

function legendOf(curves: readonly Curve[], aims: boolean, width: number) {
  const named = curves.slice(0, namedLines);
  const more = curves.length - named.length;
  const entries = [
    { text: 'mean', line: 'class="mean"' },
    ...(aims ? [{ text: 'target', line: 'class="target"' }] : []),
    ...named.map(({ validator }, nth) => ({ text: validator, line: `class="one" stroke="${colourOf(nth)}"` })),
    ...(more > 0 ? [{ text: `and ${more} more`, line: undefined }] : []),
  ];
  const entryWidth = 140;
  const across = Math.max(1, Math.floor((width - margin.left - margin.right) / entryWidth));
  return {
    rows: Math.ceil(entries.length / across),
    draw: (top: number): readonly string[] =>
      entries.flatMap(({ text, line }, nth) => {
        const x = margin.left + (nth % across) * entryWidth;
        const y = top + Math.floor(nth / across) * margin.legend + 8;
        return [
          ...(line === undefined ? [] : [`<path ${line} d="M${x} ${px(y - 4)}h18"/>`]),
          `<text x="${x + 24}" y="${px(y)}">${escaped(text.length > 16 ? `${text.slice(0, 15)}…` : text)}</text>`,
        ];
      }),
  };
}

/** For who does not see the picture. */
function describe(curves: readonly Curve[], panels: readonly Panel[], span: number, { target }: PlotOptions): string {
  const ends = panels.map(({ metric, lines }) => {
    const values = lines.map(({ spots }) => spots.at(-1)?.y ?? 0);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return `${metric} ends between ${tickText(least)} and ${tickText(most)}`;
  });
  const aim = target === undefined ? '' : ` The target is ${target.metric} ${target.value}.`;
  return `${plural(curves.length, 'validator')} over ${duration(span)}: ${ends.join(', ')}.${aim}`;
}

const colourOf = (nth: number): string => colours[nth % colours.length] as string;
const px = (value: number): string => String(Math.round(value * 10) / 10);
const tickText = (value: number): string => String(Number(value.toPrecision(3)));
/** Up to two significant digits. */
const round = (value: number): number => {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Math.ceil(value / unit) * unit;
};

/** Text as XML holds it. What XML cannot hold at all becomes a space. */
export const escaped = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, ' ')
    .replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
