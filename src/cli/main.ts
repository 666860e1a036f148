#!/usr/bin/env node
import { processIo } from './io.ts';
import { run } from './run.ts';

/** How long a command that is done may take to let go of what it opened, milliseconds. */
const patience = 5000;

process.exitCode = await run(process.argv.slice(2), processIo());
// Something that keeps the process alive after its command has ended must not keep a pod from ending.
setTimeout(() => process.exit(), patience).unref();
