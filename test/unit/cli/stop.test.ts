import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Interrupted, stopSignal } from '../../../src/cli/stop.ts';

class Source extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

describe('SIGTERM and SIGINT', () => {
  it('ask once to end cleanly, then end at once', () => {
    const source = new Source();
    const { signal } = stopSignal(source);
    source.emit('SIGINT');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBeInstanceOf(Interrupted);
    expect(source.exits).toEqual([]);
    source.emit('SIGTERM');
    expect(source.exits).toEqual([143]);
  });

  it('are no longer listened to after the release', () => {
    const source = new Source();
    stopSignal(source).release();
    expect(source.listenerCount('SIGTERM') + source.listenerCount('SIGINT')).toBe(0);
  });
});
