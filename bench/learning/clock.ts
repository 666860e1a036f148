interface Event {
  readonly at: number;
  readonly nth: number;
  readonly happen: () => void;
}

/** Time that passes when nothing is left to be done at the present moment: a year of a fleet in as long as its work takes. */
export class VirtualClock {
  readonly #heap: Event[] = [];
  #now = 0;
  #nth = 0;

  /** Milliseconds. */
  get now(): number {
    return this.#now;
  }

  at(time: number, happen: () => void): void {
    const heap = this.#heap;
    heap.push({ at: Math.max(time, this.#now), nth: this.#nth++, happen });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (isBefore(heap[parent] as Event, heap[child] as Event)) return;
      swap(heap, parent, child);
      child = parent;
    }
  }

  /** Resolves after so many milliseconds, rejects when aborted. */
  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.at(this.#now + milliseconds, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });

  /** Lets happen what is due up to a time, each with all that follows from it at once. */
  async runUntil(time: number): Promise<void> {
    while ((this.#heap[0]?.at ?? Number.POSITIVE_INFINITY) <= time) {
      const event = this.#pop();
      this.#now = event.at;
      event.happen();
      // All promises that are settled by now have been followed when this one is.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = time;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let parent = 0; ; ) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && isBefore(heap[child] as Event, heap[least] as Event)) least = child;
      }
      if (least === parent) return first;
      swap(heap, parent, least);
      parent = least;
    }
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.nth < b.nth);

function swap(heap: Event[], i: number, j: number): void {
  const held = heap[i] as Event;
  heap[i] = heap[j] as Event;
  heap[j] = held;
}
