/**
 * Why a request got no reply.
 * - `refused`: the peer said no, and why (`message`)
 * - `timeout`: no whole reply within the deadline, or the caller gave up
 * - `unreachable`: no connection, no address, no member, or the stream broke
 * - `too-large`: request or reply is over its limit
 * - `remote`: the peer tried and failed, or answered something that is no reply
 */
export type RequestErrorKind = 'refused' | 'timeout' | 'unreachable' | 'too-large' | 'remote';

/** When thrown, a request to a peer got no reply; `kind` says why. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly kind: RequestErrorKind;
  readonly peer: string;
  readonly protocol: string;
  /** For `refused`: the code that the peer's handler gave, such as `busy`. */
  readonly code: string;

  constructor(
    kind: RequestErrorKind,
    at: { readonly peer: string; readonly protocol: string; readonly code?: string },
    message: string,
    cause?: unknown,
  ) {
    super(`${at.protocol} to ${at.peer}: ${kind}: ${message}`, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.peer = at.peer;
    this.protocol = at.protocol;
    this.code = at.code ?? '';
  }
}

/** Thrown by a request handler to say no: code and message reach the asker. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: string;

  /** @param code a word that programs compare, such as `busy`, `not-here`, `not-allowed` (64 characters at most) */
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
