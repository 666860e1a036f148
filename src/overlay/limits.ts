/** Hard limits of the overlay: nothing a peer sends may be larger, slower or more than this. */

const kib = 1024;
const mib = 1024 * kib;
const second = 1000;

/** A gossip message: carries hashes, ages, deltas and reports, never weights. */
export const maxGossipBytes = 16 * kib;

/** A signed charter, as one file: it has to fit into one ConfigMap (1 MiB, with room for its metadata). */
export const maxCharterBytes = mib - 16 * kib;

/** A hello says a few numbers and a name. */
export const maxHelloBytes = 4 * kib;

/** Deadline of a hello, and how long a peer may stay connected without having said one. */
export const helloTimeoutMs = 10 * second;

/** Deadline of a charter pull: 1 MiB over a slow link. */
export const charterTimeoutMs = 20 * second;

/** A clock further off than this is worth a warning: `notAfter` and report ages are compared across machines. */
export const clockSkewWarningMs = 30 * second;
