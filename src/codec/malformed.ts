/**
 * Bytes of a peer or a file (or a message about to be sent) are not what the format says: too long, not DAG-CBOR, of a
 * wrong shape, or they break one of its rules. Sent by a hostile or a broken peer; trying again gives the same bytes.
 */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly code = 'Malformed';

  constructor(what: string, why: string, options?: ErrorOptions) {
    super(`${what} is malformed: ${why}`, options);
  }
}
