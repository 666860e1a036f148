import { FIELD_MANAGER, FINALIZER, LABELS } from '../api/index.ts';
import {
  AlreadyExists,
  type AnyKind,
  Forbidden,
  type KubeObject,
  keyOf,
  NotFound,
  type ReconcileContext,
  Secret,
} from '../kube/index.ts';
import type { Action, KeyKind } from './action.ts';
import { KEY_FILE } from './node/children/key-secret.ts';
import { type Refusal, refusalOf } from './refusal.ts';

/** Where new keys come from; passed in, so that tests can count them. */
export interface KeyMaker {
  /** A new key's bytes, as they go into the Secret. */
  make(which: KeyKind): Promise<Uint8Array>;
}

export interface PerformOptions {
  readonly keys?: KeyMaker;
  /** What `record` does. */
  readonly record?: () => Promise<void>;
  /** Called for each object that this process created, applied or deleted, and did not find so already. */
  readonly onDone?: (action: Action) => void;
}

/**
 * Does a wave of actions, all at once. What the API server refuses for a reason that only a person can mend is answered,
 * so that it ends in a condition; every other error is thrown, so that it is retried.
 */
export async function perform(
  context: ReconcileContext,
  actions: readonly Action[],
  options: PerformOptions = {},
): Promise<readonly Refusal[]> {
  const outcomes = await Promise.allSettled(actions.map((action) => act(context, action, options)));
  const refused: Refusal[] = [];
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') {
      if (outcome.value !== undefined) refused.push(outcome.value);
    } else {
      const refusal = refusalOf(outcome.reason);
      if (refusal === undefined) throw outcome.reason;
      refused.push(refusal);
    }
  }
  return refused;
}

async function act(context: ReconcileContext, action: Action, options: PerformOptions): Promise<Refusal | undefined> {
  const { client } = context;
  switch (action.do) {
    case 'apply':
      await context.apply(action.object);
      options.onDone?.(action);
      return undefined;
    case 'patch':
      await client.patch(action.kind, action.key, action.patch, { fieldManager: FIELD_MANAGER }).catch(ignoreGone);
      options.onDone?.(action);
      return undefined;
    case 'create':
      return create(context, action.kind, action.object, () => options.onDone?.(action));
    case 'makeKey': {
      if (options.keys === undefined) throw new TypeError('a key is to be made, and nobody here makes keys');
      const bytes = await options.keys.make(action.which);
      const data = { [KEY_FILE[action.which]]: Buffer.from(bytes).toString('base64') };
      const secret = { ...(action.secret as Secret), data };
      return create(context, Secret, secret, () => options.onDone?.(action));
    }
    case 'delete':
      if (action.successor !== undefined) await rehearse(context, action.kind, action.successor);
      await client
        .delete(action.kind, action.key, {
          uid: action.uid,
          ...(action.graceSeconds === undefined ? {} : { gracePeriodSeconds: action.graceSeconds }),
        })
        .then(() => options.onDone?.(action), ignoreGone);
      return undefined;
    case 'record':
      await options.record?.();
      return undefined;
    case 'finalizer':
      await setFinalizer(context, action);
      return undefined;
  }
}

/** Only what is wrong with the object itself: what forbids two of them, such as a quota, does not forbid the second alone. */
async function rehearse({ client }: ReconcileContext, kind: AnyKind, object: KubeObject): Promise<void> {
  await client.rehearse(kind, object).catch((error: unknown) => {
    if (!(error instanceof Forbidden)) throw error;
  });
}

/** Someone may have been faster, also an earlier self whose write the watch has not shown yet; a stranger's object is not ours. */
async function create(
  { client }: ReconcileContext,
  kind: AnyKind,
  object: KubeObject,
  onDone: () => void,
): Promise<Refusal | undefined> {
  try {
    await client.create(kind, object, { fieldManager: FIELD_MANAGER });
    onDone();
    return undefined;
  } catch (error) {
    if (!(error instanceof AlreadyExists)) throw error;
    const label = object.metadata.labels?.[LABELS.node];
    const there = await client.find(kind, keyOf(object));
    if (there === undefined || label === undefined || there.metadata.labels?.[LABELS.node] === label) return undefined;
    return {
      reason: 'NameTaken',
      message:
        `${kind.kind} ${object.metadata.name} exists and is not this validator's. ` +
        `Rename or delete it, or name this ValidatorNode otherwise.`,
    };
  }
}

/** A Conflict is thrown: the name is a newer object's by now, which the store will show, or the server asks to try again. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof NotFound)) throw error;
}

async function setFinalizer(
  { client }: ReconcileContext,
  { kind, object, present }: Extract<Action, { do: 'finalizer' }>,
): Promise<void> {
  const { finalizers = [], resourceVersion } = object.metadata;
  const next = present ? [...finalizers, FINALIZER] : finalizers.filter((one) => one !== FINALIZER);
  await client
    .patch(kind, keyOf(object), { metadata: { finalizers: next } }, { resourceVersion, fieldManager: FIELD_MANAGER })
    .catch((error: unknown) => {
      if (present || !(error instanceof NotFound)) throw error;
    });
}
