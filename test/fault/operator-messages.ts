import type { Said } from '../apiserver/operator/overlay.ts';

/** How an operator process is set: its one argument, as JSON. */
export interface OperatorSettings {
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  /** The operator's own namespace. */
  readonly namespace: string;
  readonly podName: string;
  /** Default: all. */
  readonly watchNamespaces?: readonly string[];
  /** Default: false. */
  readonly leaderElect?: boolean;
  /** Image of validators whose spec names none. Default: murmuration:test. */
  readonly image?: string;
  /** Level of pino, or `silent`. Default: LOG_LEVEL, else silent. */
  readonly logLevel?: string;
}

/** What the parent tells the operator process: a validator has reported. */
export interface ToOperator {
  readonly node: string;
  readonly said: Said;
  /** `namespace/network`; undefined for every network that has such a validator. */
  readonly network: string | undefined;
}

/** What the operator process tells its parent. */
export type FromOperator =
  | {
      readonly is: 'ready';
      /** `host:port` */
      readonly healthAddress: string;
      /** `host:port` */
      readonly metricsAddress: string;
    }
  | { readonly is: 'leading'; readonly leading: boolean }
  | { readonly is: 'failed'; readonly why: string };
