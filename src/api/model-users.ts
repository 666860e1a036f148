import { z } from 'zod';
import { ruled, whole } from './rules.ts';

/** What validators take from users of a model, and for how long. */
export const users = ruled(
  z.object({
    retainSeconds: whole(1, 31_536_000)
      .default(86_400)
      .describe("A validator forgets a user's rows after so long, or when the user is no member any more."),
    maxRows: whole(1, 1_000_000).default(10_000).describe('Rows of all users that one validator keeps at a time.'),
    maxRowsPerUser: whole(1, 1_000_000).default(1000).describe('Rows of one user that one validator keeps at a time.'),
  }),
  [
    {
      cel: 'self.maxRowsPerUser <= self.maxRows',
      says: 'data.users.maxRowsPerUser must not be more than data.users.maxRows: lower it, or raise maxRows.',
      at: '.maxRowsPerUser',
      holds: (self) => self.maxRowsPerUser <= self.maxRows,
    },
  ],
);
export type ModelUsers = z.output<typeof users>;
