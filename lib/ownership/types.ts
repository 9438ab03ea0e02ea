/** Who serves a partition, as the owner table tells it. */
export interface Owner {
  /** Base URL of the gateway's HTTP and WebSocket port. */
  address: string;
  epoch: number;
  generation: number;
  memberId: string;
}

/** What this gateway is to a partition. Only the transition function leads from one to another. */
export type Tenure =
  | { state: 'foreign' }
  | { state: 'claiming'; generation: number }
  | { state: 'owned'; epoch: number; generation: number }
  | { state: 'handing-over'; epoch: number; untilMs: number };

/** A gateway's side of ownership. */
export interface Ownership {
  tenure(partition: number): Tenure;
  /** Partition count of the co-partitioned topics. */
  partitionCount: number;
  /** Called after each transition. */
  onTransition(listener: (partition: number, tenure: Tenure) => void): void;
  /** Leaves the group; partitions go through `handing-over`. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** A router's side: a cached table of owners, kept by Redis pub/sub and polling, by Kafka's group while Redis is away. */
export interface OwnerTable {
  partitionCount(): number;
  owner(partition: number): Owner | undefined;
  /**
   * The owner, or the next one to appear within `timeoutMs`. `not`: an owner that has just been found wrong or dead;
   * only another address or a newer epoch than it will do. Undefined when the time is over.
   */
  waitForOwner(partition: number, timeoutMs: number, not?: Owner): Promise<Owner | undefined>;
  close(): Promise<void>;
}
