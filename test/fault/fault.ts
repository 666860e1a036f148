import type { Asked } from './asked.ts';

/** What goes wrong with one request, or with one event of a watch. */
export type Fault =
  /** The server says no, and the request does not reach it. */
  | {
      readonly do: 'refuse';
      readonly code: number;
      readonly reason: string;
      readonly retryAfterSeconds?: number;
    }
  /** The connection is reset before the request reaches the server. */
  | { readonly do: 'reset' }
  /** The request is done, and the connection is reset before its answer arrives. */
  | { readonly do: 'lose' }
  /** The request is taken and never answered. */
  | { readonly do: 'hang' }
  /** A watch is accepted, and nothing comes. */
  | { readonly do: 'stall' }
  /** The answer comes in pieces of so many bytes, with a pause after each. */
  | { readonly do: 'drip'; readonly bytes: number; readonly everyMs: number }
  /** A watch breaks before, or in the middle of, its next event: with a reset, or as if it had ended in order. */
  | { readonly do: 'break'; readonly where: 'before' | 'inside'; readonly how: 'reset' | 'end' }
  /** A watch stays open from its next event on, and nothing more comes. */
  | { readonly do: 'mute' }
  /** A watch ends with an ERROR event in place of its next event. */
  | { readonly do: 'error'; readonly code: number; readonly reason: string }
  /** Each event of a watch comes twice, with all that came before it on the same watch in between. */
  | { readonly do: 'repeat' };

/** A fault, and which requests it befalls. */
export interface Rule {
  readonly on: (asked: Asked) => boolean;
  readonly fault: Fault;
  /** It ends after so many requests or events. Default: never. */
  readonly times?: number;
}

/** Faults that befall an event of a watch that is open already, rather than a request. */
export const ofEvents: ReadonlySet<Fault['do']> = new Set(['break', 'mute', 'error', 'repeat']);

/** `metav1.Status` of a refusal. */
export const statusOf = (code: number, reason: string, retryAfterSeconds?: number): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message: `an injected ${code} ${reason}`,
  ...(retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } }),
});
