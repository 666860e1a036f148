/**
 * One class for each answer of the API server that a caller may want to tell apart. `catch (error) { if (error
 * instanceof NotFound) ... }`. Every message says what was tried, on what, and what the server said.
 */

/** `metav1.Status`, as far as it is read. */
export interface StatusBody {
  readonly message?: string | undefined;
  readonly reason?: string | undefined;
  readonly code?: number | undefined;
  readonly details?:
    | {
        readonly uid?: string | undefined;
        readonly retryAfterSeconds?: number | undefined;
        readonly causes?:
          | readonly {
              readonly reason?: string | undefined;
              readonly message?: string | undefined;
              readonly field?: string | undefined;
            }[]
          | undefined;
      }
    | undefined;
}

export interface KubeErrorInit {
  /** What was tried, for example `apply Pod default/a`. */
  readonly attempt: string;
  /** HTTP status; 0 when there was no answer. */
  readonly code: number;
  readonly status?: StatusBody | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The API server, or the way to it, said no. */
export class KubeError extends Error {
  readonly attempt: string;
  readonly code: number;
  /** `metav1.StatusReason`, or the class's own word when the server gave none. */
  readonly reason: string;
  readonly status: StatusBody | undefined;
  /** How long the server asked us to wait, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(init: KubeErrorInit, message?: string) {
    const said = message ?? init.status?.message ?? 'no message';
    super(
      `${init.attempt}: ${init.code === 0 ? '' : `${init.code} `}${init.status?.reason ?? ''}${init.status?.reason === undefined ? '' : ': '}${said}`,
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.name = new.target.name;
    this.attempt = init.attempt;
    this.code = init.code;
    this.reason = init.status?.reason ?? this.name;
    this.status = init.status;
    this.retryAfterMs = init.retryAfterMs;
  }
}

/** When thrown, it means: the request is malformed (400). A bug of the caller. */
export class BadRequest extends KubeError {}
/** When thrown, it means: the credentials were refused (401), also after re-reading them. */
export class Unauthorized extends KubeError {}
/** When thrown, it means: RBAC, admission or a terminating namespace forbids it (403). */
export class Forbidden extends KubeError {}
/** When thrown, it means: there is no such object, or no such kind (404). */
export class NotFound extends KubeError {}
/** When thrown, it means: the object changed since it was read, or another manager owns a field (409). */
export class Conflict extends KubeError {}
/** When thrown, it means: an object of that name exists (409). */
export class AlreadyExists extends KubeError {}
/** When thrown, it means: the resourceVersion or continue token is too old (410). List again. */
export class Gone extends KubeError {}
/** When thrown, it means: schema, CEL or validation refuse the object (422). `status.details.causes` names the fields. */
export class Invalid extends KubeError {}
/** When thrown, it means: the server is busy (429), and still was after the retries. */
export class TooManyRequests extends KubeError {}
/** When thrown, it means: the server failed (500, 502...). */
export class InternalError extends KubeError {}
/** When thrown, it means: the server is not able to answer now (503), and still was not after the retries. */
export class ServiceUnavailable extends KubeError {}
/** When thrown, it means: the server gave up (504, or reason Timeout/ServerTimeout). The write may have happened. */
export class ServerTimeout extends KubeError {}
/** When thrown, it means: no answer came (refused, reset, TLS...). A write may have happened. */
export class ConnectionFailed extends KubeError {}
/** When thrown, it means: the request's own deadline passed. A write may have happened. */
export class DeadlineExceeded extends KubeError {}
/** When thrown, it means: this process may not write now, because it does not (or no longer) lead. Nothing was sent. */
export class FencedOff extends KubeError {}
/** When thrown, it means: the answer is not what the API promises (no JSON, too long...). */
export class BadAnswer extends KubeError {}

type ErrorClass = new (init: KubeErrorInit) => KubeError;

const byReason: Readonly<Record<string, ErrorClass>> = {
  BadRequest,
  Unauthorized,
  Forbidden,
  NotFound,
  Conflict,
  AlreadyExists,
  Gone,
  Expired: Gone,
  Invalid,
  TooManyRequests,
  InternalError,
  ServiceUnavailable,
  ServerTimeout,
  Timeout: ServerTimeout,
};

const byCode: Readonly<Record<number, ErrorClass>> = {
  400: BadRequest,
  401: Unauthorized,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  410: Gone,
  422: Invalid,
  429: TooManyRequests,
  503: ServiceUnavailable,
  504: ServerTimeout,
};

/** The error for an answer: by the server's reason, else by its code. */
export function errorFor(init: KubeErrorInit): KubeError {
  const found =
    byReason[init.status?.reason ?? ''] ?? byCode[init.code] ?? (init.code >= 500 ? InternalError : KubeError);
  return new found(init);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
