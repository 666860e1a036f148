/** A view that covers less of its buffer than this is copied: it would keep all of the buffer in memory. */
const COVERS = 0.75;

/** Blocks that were written or read a moment ago, by name: the least recently used make room. */
export class BlockCache {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #blocks = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Memory that the blocks take. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Uint8Array | undefined {
    const block = this.#blocks.get(name);
    if (block === undefined) return undefined;
    this.#blocks.delete(name);
    this.#blocks.set(name, block);
    return block;
  }

  /** Keeps a block whose bytes nobody changes from now on. */
  set(name: string, bytes: Uint8Array): void {
    this.delete(name);
    if (bytes.byteLength > this.#maxBytes) return;
    const { buffer, byteOffset, byteLength } =
      bytes.byteLength < COVERS * bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes;
    const block = Buffer.from(buffer, byteOffset, byteLength); // what the disk gives, so that nobody can tell the difference
    this.#blocks.set(name, block);
    this.#bytes += block.buffer.byteLength;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const block = this.#blocks.get(name);
    if (block === undefined) return;
    this.#blocks.delete(name);
    this.#bytes -= block.buffer.byteLength;
  }

  clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
  }
}
