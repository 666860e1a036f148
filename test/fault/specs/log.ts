import { type Logger, pino } from 'pino';

/** After the time that a retry was due, so long is waited for it to fail again. ms */
const GRACE_MS = 1_500;

interface Failure {
  readonly error: string;
  /** Unix ms until which another failure of the key may come. */
  readonly until: number;
  readonly count: number;
}

/** The operator's log, read for reconciles that fail again and again. */
export class OperatorLog {
  readonly logger: Logger;
  readonly #failures = new Map<string, Failure>();
  /** Lines that no operator should ever write. */
  readonly broken: string[] = [];

  constructor() {
    this.logger = pino({ level: 'debug' }, { write: (line: string) => this.#read(line) });
  }

  /** Reconciles whose retry is still to come, or has just failed. */
  pending(now = Date.now()): readonly string[] {
    return [...this.#failures]
      .filter(([, { until }]) => until > now)
      .map(([key, { error, count }]) => `reconcile of ${key} failed ${count} times: ${error}`);
  }

  /** Forgets what is over, so that counts are about one step. */
  forget(now = Date.now()): void {
    for (const [key, { until }] of this.#failures) if (until <= now) this.#failures.delete(key);
  }

  #read(line: string): void {
    if (line.includes('will be retried"')) {
      const { controller, key, err, delayMs } = JSON.parse(line);
      const name = `${controller} ${key}`;
      const error = typeof err === 'string' ? err : String(err?.message ?? '');
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      this.#failures.set(name, { error: error.slice(0, 600), until: Date.now() + delayMs + GRACE_MS, count });
    } else if (
      line.includes('of the leader failed') ||
      line.includes('onError itself failed') ||
      line.includes('"level":60')
    ) {
      this.broken.push(line.slice(0, 600));
    }
  }
}
