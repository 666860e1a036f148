/**
 * Why a user got nowhere.
 * - `no-validator`: nobody takes users of this model, or nobody can be reached
 * - `data`: the rows do not fit the model
 * - `seal`: a sealed box is for somebody else, or was changed
 * - `offer`: a validator's offer is not signed by it
 */
export type UserErrorReason = 'no-validator' | 'data' | 'seal' | 'offer';

/** When thrown, a user cannot go on; `message` is a sentence with the reason. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly reason: UserErrorReason;

  constructor(reason: UserErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
