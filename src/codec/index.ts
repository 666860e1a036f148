// DAG-CBOR in and out, with a limit and a shape: the one door for bytes of peers and of files.
// Every room may import this file; it imports nothing of ours, and no other room imports a CBOR library.

export * from './checked.ts';
export { MalformedError } from './malformed.ts';
