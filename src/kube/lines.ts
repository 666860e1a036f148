/** Reading bodies: every read has a limit. */

const newline = 0x0a;

/**
 * Splits a body into lines and parses each as JSON. Yields together what arrived together. A last line without its
 * newline is a stream cut inside an object: it is an error, not an event.
 * @throws RangeError when a line is longer than `maxBytes`; SyntaxError when it is no JSON.
 */
export async function* jsonLines(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<unknown[]> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of body) {
    const batch: unknown[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      pending.push(chunk.subarray(start, end));
      if (pendingBytes + end - start > maxBytes) throw tooLong(maxBytes);
      const line = pending.length === 1 ? pending[0] : Buffer.concat(pending);
      const text =
        line === undefined ? '' : Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
      if (text.trim() !== '') batch.push(JSON.parse(text));
      pending = [];
      pendingBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      pending.push(chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > maxBytes) throw tooLong(maxBytes);
    }
    yield batch;
  }
  if (pendingBytes > 0) throw new SyntaxError(`the stream ended inside an event (${pendingBytes} bytes of it came)`);
}

/** The whole body as text. @throws RangeError when it is longer than `maxBytes`. */
export async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLong(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLong(maxBytes: number): RangeError {
  return new RangeError(`more than ${maxBytes} bytes`);
}
