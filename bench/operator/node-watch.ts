import { findCondition, NODE_CONDITIONS } from '../../src/api/index.ts';
import { type Client, type Existing, type Feed, silent, systemClock, Watcher } from '../../src/kube/index.ts';
import { ValidatorNode } from '../../src/operator/kinds.ts';

/** Follows the ValidatorNodes of a namespace as a person with `kubectl get -w` would. */
export class NodeWatch {
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  readonly #ready = new Set<string>();
  readonly #listeners = new Set<(node: Existing<ValidatorNode>) => void>();

  constructor(client: Client, namespace: string) {
    const see = (node: Existing<ValidatorNode>): void => {
      if (findCondition(node, NODE_CONDITIONS.PodReady)?.status === 'True') this.#ready.add(node.metadata.name);
      else this.#ready.delete(node.metadata.name);
      for (const listener of this.#listeners) listener(node);
    };
    this.#ended = new Watcher<ValidatorNode>({
      client,
      kind: ValidatorNode,
      namespace,
      clock: systemClock,
      random: Math.random,
      log: silent,
      onNews: (news: Feed<ValidatorNode>) => {
        if (news.type === 'replaced') news.objects.forEach(see);
        else if (news.type === 'applied') see(news.object);
      },
    }).run(this.#stop.signal);
  }

  /** Those whose status says that their pod is ready. */
  get ready(): number {
    return this.#ready.size;
  }

  /** Calls `listener` for each state of a node that is seen; returns how to stop. */
  onNode(listener: (node: Existing<ValidatorNode>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns ms on the monotonic clock at which so many were ready */
  async untilReady(count: number, withinMs: number): Promise<number> {
    if (this.#ready.size >= count) return performance.now();
    return this.#until(
      `${count} validators are ready`,
      withinMs,
      () => this.#ready.size >= count,
      () => `${this.#ready.size} are`,
    );
  }

  /** @returns ms on the monotonic clock at which a node was seen that passes the check */
  untilNode(what: string, withinMs: number, check: (node: Existing<ValidatorNode>) => boolean): Promise<number> {
    return this.#until(what, withinMs, check, () => 'it is not');
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  #until(
    what: string,
    withinMs: number,
    check: (node: Existing<ValidatorNode>) => boolean,
    instead: () => string,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        undo();
        reject(new Error(`waited ${withinMs / 1000} s in vain until ${what}: ${instead()}`));
      }, withinMs);
      const undo = this.onNode((node) => {
        if (!check(node)) return;
        clearTimeout(timer);
        undo();
        resolve(performance.now());
      });
    });
  }
}
