export interface RunningOpenSearch {
  url: string;
  pid: number;
  home: string;
  /** Ends the node; resolves when it is gone. */
  stop(): Promise<unknown>;
  exited: Promise<unknown>;
}

export function startOpenSearch(options?: { port?: number; home?: string }): Promise<RunningOpenSearch>;

/** The first JDK of version 21 or later. @throws if there is none */
export function findJava(): string;
