import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bar } from '../../../../src/cli/render/bar.ts';
import { LiveBlock } from '../../../../src/cli/render/live.ts';
import { cut, table } from '../../../../src/cli/render/table.ts';

describe('a bar', () => {
  it('is as wide for every share, also outside 0..1', () => {
    fc.assert(
      fc.property(fc.double(), fc.integer({ min: 1, max: 60 }), (share, width) => {
        expect([...bar(share, width)]).toHaveLength(width + 2);
      }),
    );
  });

  it('is full only at one', () => {
    expect(bar(1, 4)).toBe('▕████▏');
    expect(bar(0.999, 4)).toBe('▕███▉▏');
    expect(bar(0.5, 4)).toBe('▕██  ▏');
    expect(bar(0, 4)).toBe('▕    ▏');
  });
});

describe('a table', () => {
  const columns = [
    { head: 'NAME', cell: (row: { name: string; size: string }) => row.name },
    { head: 'SIZE', cell: (row: { name: string; size: string }) => row.size },
  ];

  it('gives each column the room that its widest cell needs', () => {
    expect(
      table(columns, [
        { name: 'flock-0', size: '1' },
        { name: 'a', size: '1 204' },
      ]),
    ).toEqual(['NAME     SIZE', 'flock-0  1', 'a        1 204']);
  });

  it('shows its head when it has no rows', () => {
    expect(table(columns, [])).toEqual(['NAME  SIZE']);
  });

  it('counts characters, not bytes', () => {
    expect(table(columns, [{ name: 'bafy…q3e', size: 'x' }])).toEqual(['NAME      SIZE', 'bafy…q3e  x']);
  });

  it('stays within the window, and shows where something is missing', () => {
    expect(cut('flock-0  yes', 8)).toBe('flock-0…');
    expect(cut('flock-0', 8)).toBe('flock-0');
    expect(table(columns, [{ name: 'flock-0', size: 'large' }], 10)).toEqual(['NAME     …', 'flock-0  …']);
  });
});

describe('a live block', () => {
  function screen(rows: number) {
    const written: string[] = [];
    return { written, terminal: { rows, columns: 80, write: (text: string) => written.push(text) } };
  }

  it('goes back over exactly the lines that it drew', () => {
    const { written, terminal } = screen(24);
    const block = new LiveBlock(terminal);
    block.draw(['one', 'two']);
    block.draw(['three']);
    expect(written[0]).not.toContain('\u001b[2A');
    expect(written[1]).toContain('\u001b[2A');
    expect(written[1]).toContain('three\n');
  });

  it('leaves what it drew in place once it has ended', () => {
    const { written, terminal } = screen(24);
    const block = new LiveBlock(terminal);
    block.finish(['one']);
    block.draw(['two']);
    expect(written[1]).not.toMatch(/\[\d+A/);
  });

  it('does not scroll a window that is too small, and says so', () => {
    const { written, terminal } = screen(4);
    new LiveBlock(terminal).draw(['1', '2', '3', '4', '5']);
    expect(written[0]?.match(/\n/g)).toHaveLength(3);
    expect(written[0]).toContain('3 more lines');
  });

  it('draws all of the last lines, and all in a window of unknown height', () => {
    const { written, terminal } = screen(2);
    new LiveBlock(terminal).finish(['1', '2', '3']);
    expect(written[0]).toContain('3\n');
    const unknown = screen(0);
    new LiveBlock(unknown.terminal).draw(['1', '2', '3']);
    expect(unknown.written[0]).toContain('3\n');
  });
});
