/** Who serves a partition, as the owner table tells it. */
export interface Owner {
  /** Base URL of the gateway's HTTP and WebSocket port. */
  address: string;
  epoch: number;
  generation: number;
  memberId: string;
  /** host:port that tells whether its process lives; empty where it is not known. */
  peer?: string;
  /**
   * It is not the owner, but another gateway that serves the partition's clients while the owner cannot be reached. It has
   * to be asked without a route token; its epoch is 0.
   */
  standsIn?: true;
}

/** What this gateway is to a partition. Only the transition function leads from one to another. */
export type Tenure =
  | { state: 'foreign' }
  /** `epoch`: of the tenure before, which was not over yet: its clients are still here. */
  | { state: 'claiming'; generation: number; epoch: number | undefined }
  | { state: 'owned'; epoch: number; generation: number }
  /** `succeeded`: the successor's claim is visible, so that clients who are sent away find it. */
  | { state: 'handing-over'; epoch: number; untilMs: number; succeeded: boolean };

/** A partition that came to this gateway. */
export interface Handoff {
  partition: number;
  /** 0 where it was taken over without Redis. */
  epoch: number;
  /** When its claim was visible to routers, ms since the epoch. */
  atMs: number;
  /** From the assignment to that moment. */
  seconds: number;
}

/** A gateway's side of ownership. */
export interface Ownership {
  tenure(partition: number): Tenure;
  /** Partition count of the co-partitioned topics. */
  partitionCount: number;
  /**
   * Whether a new client of the partition belongs here: it is owned, or handed over to a successor whose claim is not
   * visible yet. While it is being claimed: not yet, wait for the transition.
   */
  admits(partition: number): boolean;
  /** Called after each transition, synchronously, with what caused it (`lost`: clients have to go at once). */
  onTransition(listener: (partition: number, tenure: Tenure, cause: { event: string }) => void): void;
  /**
   * Asks the group whether this gateway still owns the partition: what a STALE of somebody newer is believed by.
   * `unknown`: it cannot be asked now.
   */
  verify(partition: number): Promise<'member' | 'zombie' | 'unknown'>;
  /** The last client of a partition that is handed over has gone: it becomes foreign before its window ends. */
  released(partition: number): void;
  /** The newest 50 partitions that came here, the newest first. */
  handoffs(): readonly Handoff[];
  /** Leaves the group; partitions go through `handing-over`. Resolves when the last window has ended. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** A router's side: a cached table of owners, kept by Redis pub/sub and polling, by Kafka's group while Redis is away. */
export interface OwnerTable {
  partitionCount(): number;
  /** Who is to be asked: the owner, or who stands in for it ({@link Owner.standsIn}). */
  owner(partition: number): Owner | undefined;
  /**
   * The same, or the next one to appear within `timeoutMs`. `not`: an owner that has just been found wrong or dead;
   * only another address or a newer epoch than it will do. Undefined when the time is over.
   */
  waitForOwner(partition: number, timeoutMs: number, not?: Owner): Promise<Owner | undefined>;
  /** The gateway at this address is dead, or cannot be reached: what is under way with it will not come to an end. */
  onDead(listener: (address: string) => void): void;
  close(): Promise<void>;
}
