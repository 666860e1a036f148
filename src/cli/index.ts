/**
 * The commands people type. Thin: each command reads its flags, calls one room and prints what it says.
 * `main.ts` starts, `program.ts` declares, `commands/` acts, `up/` sets a cluster up, `fleet/` reads the kinds, `render/` draws.
 * May import every other room; no room imports this one.
 */
export { createProgram } from './program.ts';
export { run } from './run.ts';
