import type { Client } from './client.ts';
import { messageOf, NotFound } from './errors.ts';
import { Event } from './kinds.ts';
import type { Log } from './log.ts';
import { type KubeObject, keyOf, keyText } from './objects.ts';
import type { Clock, Random } from './time.ts';

/** What happened to an object, for the person who looks at it. */
export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, stable: part of the API. */
  readonly reason: string;
  /** What the controller did or tried, CamelCase. */
  readonly action: string;
  /** A sentence; cut at 1024 bytes. */
  readonly note: string;
  readonly related?: KubeObject | undefined;
}

/** Records events without ever failing or delaying the caller. */
export interface EventRecorder {
  record(regarding: KubeObject, note: EventNote): void;
}

export interface EventSeriesRecorderInit {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Name of the controller, such as `murmuration.dev/operator`. */
  readonly controller: string;
  /** This process, such as the pod's name. */
  readonly instance: string;
  /** A series that goes on is written this often. ms, default 30 000. */
  readonly refreshMs?: number | undefined;
  /** A series ends when nothing came for so long. ms, default 6 min (as client-go). */
  readonly seriesMs?: number | undefined;
  /** Series remembered; beyond it the oldest is forgotten. Default 4096. */
  readonly maxSeries?: number | undefined;
}

interface Series {
  readonly regarding: KubeObject;
  readonly note: EventNote;
  readonly name: string;
  count: number;
  /** Wall clock, ms. */
  lastObserved: number;
  /** Occurrences the server knows of; 0 before it is created. */
  written: number;
  writtenAt: number;
  queued: boolean;
}

/**
 * events.k8s.io/v1. The first occurrence makes an Event; equal ones that follow raise the count of its series, written at
 * the first repeat and then every `refreshMs`.
 *
 * Caveat: an event that cannot be written is logged and dropped. Events help people; nothing may depend on them.
 */
export class EventSeriesRecorder implements EventRecorder {
  readonly #init: EventSeriesRecorderInit;
  readonly #series = new Map<string, Series>();
  readonly #queue: Series[] = [];
  readonly #timers = new Set<() => void>();
  #writing: Promise<void> | undefined;
  #underWay: { readonly series: Series; readonly count: number } | undefined;
  #stopped = false;
  /** Not written for want of room, since the queue was last empty. */
  #dropped = 0;

  constructor(init: EventSeriesRecorderInit) {
    this.#init = init;
  }

  record(regarding: KubeObject, note: EventNote): void {
    if (this.#stopped) return;
    const { clock, random, seriesMs = 360_000, maxSeries = 4096 } = this.#init;
    const now = clock.now();
    const id = JSON.stringify([
      regarding.metadata.uid,
      keyText(keyOf(regarding)),
      note.type,
      note.reason,
      note.action,
      note.note,
    ]);
    const present = this.#series.get(id);
    if (present !== undefined && now - present.lastObserved <= seriesMs) {
      present.count += 1;
      present.lastObserved = now;
      this.#schedule(present);
      return;
    }
    const suffix = Math.floor(random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
    const series: Series = {
      regarding,
      note,
      name: `${regarding.metadata.name.slice(0, 230)}.${suffix}`,
      count: 1,
      lastObserved: now,
      written: 0,
      writtenAt: Number.NEGATIVE_INFINITY,
      queued: false,
    };
    this.#series.delete(id);
    this.#series.set(id, series);
    if (this.#series.size > maxSeries) {
      for (const oldest of this.#series.keys()) {
        this.#series.delete(oldest);
        break;
      }
    }
    this.#schedule(series);
  }

  /** Takes no more and writes what is outstanding, as far as that goes in the time: others may wait for the lead. @param withinMs default 1 s */
  async stop(withinMs = 1_000): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    // What was dropped gets its last chance here.
    this.#dropped = 0;
    for (const series of this.#series.values()) {
      const sent = this.#underWay?.series === series ? this.#underWay.count : series.written;
      if (sent < series.count && !this.#queue.includes(series)) this.#enqueue(series);
    }
    const cancel = this.#init.clock.after(withinMs, () => {
      this.#dropped += this.#queue.length;
      this.#queue.length = 0;
    });
    await this.#writing;
    cancel();
  }

  #schedule(series: Series): void {
    if (series.queued) return;
    const { clock, refreshMs = 30_000 } = this.#init;
    const wait = series.written <= 1 ? 0 : series.writtenAt + refreshMs - clock.monotonic();
    if (wait <= 0) {
      this.#enqueue(series);
      return;
    }
    series.queued = true;
    const cancel = clock.after(wait, () => {
      this.#timers.delete(cancel);
      series.queued = false;
      this.#enqueue(series);
    });
    this.#timers.add(cancel);
  }

  #enqueue(series: Series): void {
    if (this.#queue.length >= 1000) {
      this.#dropped += 1;
      return;
    }
    series.queued = true;
    this.#queue.push(series);
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    const { log, clock } = this.#init;
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      series.queued = false;
      const { count } = series;
      this.#underWay = { series, count };
      try {
        await this.#write(series);
        series.written = count;
        series.writtenAt = clock.monotonic();
        if (series.count > count && !this.#stopped) this.#schedule(series);
      } catch (error) {
        log.warn(
          { reason: series.note.reason, object: keyText(keyOf(series.regarding)), err: messageOf(error) },
          'event not written',
        );
      }
    }
    this.#writing = undefined;
    this.#underWay = undefined;
    if (this.#dropped > 0) log.warn({ events: this.#dropped }, 'too many events at once, some were not written');
    this.#dropped = 0;
  }

  async #write(series: Series): Promise<void> {
    const { client } = this.#init;
    const namespace = series.regarding.metadata.namespace ?? 'default';
    if (series.written > 0) {
      const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastObserved) } };
      try {
        await client.patch(Event, { namespace, name: series.name }, patch, { deadlineMs: 10_000 });
        return;
      } catch (error) {
        // The server forgets events after an hour: then it is told anew.
        if (!(error instanceof NotFound)) throw error;
      }
    }
    await client.create(Event, this.#event(series, namespace), { deadlineMs: 10_000 });
  }

  #event(series: Series, namespace: string): Event {
    const { note, regarding } = series;
    const { controller, instance } = this.#init;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: series.name, namespace },
      eventTime: microTime(series.lastObserved),
      reportingController: controller.slice(0, 128),
      reportingInstance: instance.slice(0, 128),
      type: note.type,
      reason: note.reason.slice(0, 128),
      action: note.action.slice(0, 128),
      note: cut(note.note, 1024),
      regarding: reference(regarding),
      related: note.related === undefined ? undefined : reference(note.related),
    };
  }
}

function reference(object: KubeObject) {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid, resourceVersion };
}

/** Cuts at a character, so that the text stays valid UTF-8. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let short = text.slice(0, bytes);
  while (Buffer.byteLength(short) > bytes - 3) short = short.slice(0, -1);
  return `${short}\u2026`;
}

/** metav1.MicroTime: RFC 3339 with microseconds. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
