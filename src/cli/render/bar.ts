/** A bar of blocks that shows a share of one at a glance. Pure. */

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** `▕██████████▌         ▏`: `width` cells between the posts, filled in eighths. A share outside 0..1 is cut to it. */
export function bar(share: number, width: number): string {
  const cut = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  const filled = Math.floor(cut * width * 8);
  const full = Math.floor(filled / 8);
  const cells = '█'.repeat(full) + (eighths[filled % 8] ?? '');
  return `▕${cells.padEnd(width)}▏`;
}
