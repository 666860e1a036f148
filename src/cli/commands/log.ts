import { type Logger, pino } from 'pino';
import { misused } from '../errors.ts';
import type { Io } from '../io.ts';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** The logger of a pod: one JSON line a message. Level: debug with --debug, else $LOG_LEVEL, else info. */
export function podLogger(command: string, debug: boolean | undefined, io: Io): Logger {
  const level = debug === true ? 'debug' : (io.env.LOG_LEVEL ?? 'info');
  if (!levels.includes(level)) {
    throw misused(
      `LOG_LEVEL is "${level}", which is no level.`,
      `Set it to one of ${levels.join(', ')}, or leave it out.`,
    );
  }
  return pino({
    level,
    base: { command },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
