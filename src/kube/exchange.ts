import type { CallOptions, RawWatchEvent } from './calls.ts';
import {
  BadAnswer,
  ConnectionFailed,
  DeadlineExceeded,
  errorFor,
  FencedOff,
  KubeError,
  messageOf,
  type StatusBody,
} from './errors.ts';
import { type Fence, open } from './fence.ts';
import { jsonLines, readAll } from './lines.ts';
import { type Log, silent } from './log.ts';
import { type Clock, deadline, type Random, sleep, systemClock } from './time.ts';
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts';

/** Where the client counts its requests. */
export interface RequestMeter {
  answered(request: {
    readonly method: string;
    readonly host: string;
    readonly code: string;
    readonly seconds: number;
  }): void;
}

export interface ExchangeInit {
  readonly transport: Transport;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly log?: Log | undefined;
  readonly userAgent?: string | undefined;
  readonly meter?: RequestMeter | undefined;
  /** Writes only while it is open. Default: always. */
  readonly fence?: Fence | undefined;
  /** Ends every call. */
  readonly signal?: AbortSignal | undefined;
  /** Tries of one call, the first included. Default 5. */
  readonly attempts?: number | undefined;
  /** Longest answer to a short request. bytes, default 256 MiB. */
  readonly maxAnswerBytes?: number | undefined;
  /** Longest line of a watch: one object. bytes, default 16 MiB. */
  readonly maxEventBytes?: number | undefined;
}

/** One request to the API server, and whether it may be repeated. */
export interface Call extends CallOptions {
  readonly attempt: string;
  readonly method: TransportRequest['method'];
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  /** Doing it twice does the same as doing it once: retried also when it may have happened. */
  readonly idempotent: boolean;
}

/**
 * Requests and answers: deadlines, retries, the fence, errors. What the verbs of {@link Client} are made of.
 */
export class Exchange {
  readonly #init: ExchangeInit;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;

  constructor(init: ExchangeInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#random = init.random ?? Math.random;
    this.#log = init.log ?? silent;
  }

  /** A read: one request and its answer, repeated where that is harmless. */
  read(call: Call): Promise<unknown> {
    return this.#call(call, open);
  }

  /** A write: refused when the fence is closed, cut short when it closes. */
  write(call: Call): Promise<unknown> {
    return this.#call(call, this.#init.fence ?? open);
  }

  /** Opens a stream of JSON lines; see {@link Client.watch}. `idleMs` without a byte, and it is given up. */
  async stream(call: Call, idleMs: number, signal: AbortSignal): Promise<AsyncIterable<readonly RawWatchEvent[]>> {
    const { attempt } = call;
    const silence = () =>
      new ConnectionFailed({ attempt, code: 0 }, `nothing came for ${idleMs} ms, so the connection is taken for dead`);
    const guard = deadline(this.#clock, [signal, this.#init.signal]);
    const openMs = Math.min(idleMs, call.deadlineMs ?? 15_000);
    let cancelIdle = this.#clock.after(openMs, () =>
      guard.abort(new DeadlineExceeded({ attempt, code: 0 }, `no answer within ${openMs} ms`)),
    );
    const alive = () => {
      cancelIdle();
      cancelIdle = this.#clock.after(idleMs, () => guard.abort(silence()));
    };
    const finish = () => {
      cancelIdle();
      guard.done();
    };
    let answer: TransportAnswer;
    try {
      answer = await this.#send(call, guard.signal, { streaming: true });
      if (answer.status >= 400) throw await this.#refusal(attempt, answer);
      alive();
    } catch (error) {
      finish();
      throw guard.signal.aborted ? guard.signal.reason : error;
    }
    const lines = jsonLines(answer.body, this.#init.maxEventBytes ?? 16 * 2 ** 20);
    const generator = (async function* () {
      try {
        for await (const batch of lines) {
          alive();
          yield batch as RawWatchEvent[];
        }
      } catch (error) {
        if (guard.signal.aborted) throw guard.signal.reason;
        throw error instanceof KubeError
          ? error
          : new ConnectionFailed({ attempt, code: 0, cause: error }, messageOf(error));
      } finally {
        finish();
        guard.abort(new Error('the watch is no longer read'));
      }
    })();
    const close = async () => {
      // Also where no event was ever asked for: a generator that did not begin has no `finally`.
      finish();
      guard.abort(new Error('the watch is no longer read'));
      await generator.return(undefined).catch(() => undefined);
      return { done: true as const, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next: () => generator.next(), return: close }) };
  }

  async #call(call: Call, fence: Fence): Promise<unknown> {
    const { attempt } = call;
    const gate = () => {
      if (fence.remainingMs() > 0) return;
      throw new FencedOff(
        { attempt, code: 0 },
        'not sent: this process does not lead now. It is tried again once it does',
      );
    };
    gate();
    const allowed = fence.remainingMs();
    const asked = call.deadlineMs ?? 30_000;
    const ms = Math.min(asked, allowed);
    const guard = deadline(this.#clock, [call.signal, this.#init.signal], ms, () =>
      allowed < asked
        ? new FencedOff({ attempt, code: 0 }, 'cut off: the lease was not renewed in time. It may have happened')
        : new DeadlineExceeded({ attempt, code: 0 }, `no answer within ${ms} ms. It may have happened`),
    );
    try {
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#once(call, guard.signal, fence === open ? undefined : gate);
        } catch (error) {
          if (guard.signal.aborted) throw guard.signal.reason;
          if (!(error instanceof KubeError) || tries >= (this.#init.attempts ?? 5) || !this.#mayRetry(call, error))
            throw error;
          const delay = error.retryAfterMs ?? Math.min(5000, 100 * 2 ** (tries - 1));
          this.#log.debug({ attempt, tries, delay, err: messageOf(error) }, 'request failed, trying again');
          await sleep(this.#clock, delay * (1 + 0.5 * this.#random()), guard.signal);
        }
      }
    } finally {
      guard.done();
    }
  }

  #mayRetry(call: Call, error: KubeError): boolean {
    if (error instanceof FencedOff) return false;
    switch (error.code) {
      case 429:
        return true;
      case 503:
        // Without Retry-After it may come from a proxy after the request went through.
        return call.idempotent || error.retryAfterMs !== undefined;
      case 401:
      case 0:
      case 500:
      case 502:
      case 504:
        return call.idempotent || error.code === 401;
      default:
        return false;
    }
  }

  async #once(call: Call, signal: AbortSignal, gate: (() => void) | undefined): Promise<unknown> {
    const answer = await this.#send(call, signal, { streaming: false, gate });
    if (answer.status >= 400) throw await this.#refusal(call.attempt, answer);
    const text = await this.#text(call.attempt, answer);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new BadAnswer(
        { attempt: call.attempt, code: answer.status, cause },
        `the answer is no JSON: ${text.slice(0, 200)}`,
      );
    }
  }

  async #send(
    call: Call,
    signal: AbortSignal,
    how: Pick<TransportRequest, 'streaming' | 'gate'>,
  ): Promise<TransportAnswer> {
    const { transport, meter, userAgent } = this.#init;
    const started = this.#clock.monotonic();
    let code = '<error>';
    try {
      const answer = await transport.request({
        method: call.method,
        path: call.path,
        headers: {
          accept: 'application/json',
          'user-agent': userAgent ?? 'kube-runtime-ts',
          ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
        },
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        signal,
        ...how,
      });
      code = String(answer.status);
      return answer;
    } catch (cause) {
      if (signal.aborted || cause instanceof KubeError) throw cause;
      throw new ConnectionFailed(
        { attempt: call.attempt, code: 0, cause },
        `no answer from ${transport.host}: ${messageOf(cause)}`,
      );
    } finally {
      const seconds = (this.#clock.monotonic() - started) / 1000;
      meter?.answered({ method: call.method, host: transport.host, code, seconds });
    }
  }

  async #text(attempt: string, answer: TransportAnswer): Promise<string> {
    try {
      return await readAll(answer.body, this.#init.maxAnswerBytes ?? 256 * 2 ** 20);
    } catch (cause) {
      if (cause instanceof RangeError) throw new BadAnswer({ attempt, code: answer.status, cause }, cause.message);
      throw new ConnectionFailed({ attempt, code: 0, cause }, `the answer broke off: ${messageOf(cause)}`);
    }
  }

  async #refusal(attempt: string, answer: TransportAnswer): Promise<KubeError> {
    const text = await this.#text(attempt, answer);
    let status: StatusBody;
    try {
      const parsed: unknown = JSON.parse(text);
      status = typeof parsed === 'object' && parsed !== null ? (parsed as StatusBody) : { message: text.slice(0, 500) };
    } catch {
      status = { message: text.trim().slice(0, 500) };
    }
    if (answer.status === 401) this.#init.transport.refreshCredentials();
    return errorFor({
      attempt,
      code: answer.status,
      status,
      retryAfterMs: retryAfterMs(answer.retryAfter, status, this.#clock),
    });
  }
}

/** Retry-After in seconds or as a date (RFC 9110 10.2.3), else the Status' own hint. */
function retryAfterMs(header: string | undefined, status: StatusBody, clock: Clock): number | undefined {
  if (header !== undefined) {
    const seconds = Number(header);
    const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - clock.now();
    if (Number.isFinite(ms) && ms >= 0) return ms;
  }
  const seconds = status.details?.retryAfterSeconds;
  return seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;
}
