/**
 * The parts of kafkajs 2.2.4 (pinned) that it does not export, with the types that we rely on. kafkajs gives us sockets,
 * TLS, SASL, version negotiation, correlation and request time-outs; its Cluster, Producer and Consumer are not used.
 */
import { createRequire } from 'node:module';
import type { Logger } from 'kafkajs';
import type { BrokerVersions } from './wire/apis.ts';

const require = createRequire(import.meta.url);

type KafkajsLogger = Logger;

/** What a request looks like to kafkajs. `encode` must give something with `buf`, `buffer` and `size()`. */
export interface ProtocolRequest<T> {
  request: {
    apiKey: number;
    apiVersion: number;
    apiName: string;
    encode(): Promise<{ buf: Buffer; buffer: Buffer; size(): number }>;
  };
  response: { decode(bytes: Buffer): Promise<T & Decoded>; parse(decoded: T): Promise<T> };
  requestTimeout: number | null;
  logResponseError: boolean;
}

/** kafkajs sends nothing on this connection for so long after a decoded answer with this field, ms (KIP-219). */
interface Decoded {
  clientSideThrottleTime?: number;
}

interface RequestUnderWay {
  /** Since when its time-out counts, ms since the epoch. */
  sentAt: number;
}

export interface Connection {
  isConnected(): boolean;
  send<T>(request: ProtocolRequest<T>): Promise<T>;
  socket?: { destroy(): void };
  /** ms that the broker grants this authentication (KIP-368), as a big integer; 0 without a limit. */
  sessionLifetime: { toString(): string };
  requestQueue: {
    rejectAll(error: Error): void;
    /** By correlation id. */
    inflight: ReadonlyMap<number, RequestUnderWay>;
  };
}

interface ConnectionPool {
  pool: Connection[];
}

export interface JoinAnswer {
  generationId: number;
  leaderId: string;
  memberId: string;
  members: { memberId: string; memberMetadata: Buffer }[];
}

export interface GroupDescription {
  groups: {
    groupId: string;
    state: string;
    members: { memberId: string; memberMetadata: Buffer; memberAssignment: Buffer }[];
  }[];
}

/** kafkajs's Broker: the calls whose answer carries one error are used as they are; they throw errors with `type`. */
export interface Broker {
  connectionPool: ConnectionPool;
  /** Set once it is connected. */
  versions: BrokerVersions | null;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(args: {
    groupId: string;
  }): Promise<{ coordinator: { nodeId: number; host: string; port: number } }>;
  joinGroup(args: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: { name: string; metadata: Buffer }[];
  }): Promise<JoinAnswer>;
  syncGroup(args: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(args: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(args: { groupId: string; memberId: string }): Promise<unknown>;
  offsetCommit(args: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: { topic: string; partitions: { partition: number; offset: string; metadata?: string }[] }[];
  }): Promise<unknown>;
  offsetFetch(args: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string; metadata: string | null }[] }[];
  }>;
  describeGroups(args: { groupIds: string[] }): Promise<GroupDescription>;
  createTopics(args: {
    topics: {
      topic: string;
      numPartitions: number;
      replicationFactor: number;
      configEntries: { name: string; value: string }[];
    }[];
    timeout: number;
  }): Promise<unknown>;
  createPartitions(args: { topicPartitions: { topic: string; count: number }[]; timeout: number }): Promise<unknown>;
  deleteTopics(args: { topics: string[]; timeout: number }): Promise<unknown>;
}

export interface ConnectionPoolOptions {
  host: string;
  port: number;
  rack: null;
  ssl: unknown;
  sasl: unknown;
  clientId: string;
  socketFactory: unknown;
  connectionTimeout: number;
  requestTimeout: number;
  enforceRequestTimeout: boolean;
  maxInFlightRequests: number | null;
  reauthenticationThreshold: number;
  logger: KafkajsLogger;
}

export const BrokerClass = require('kafkajs/src/broker') as new (options: {
  connectionPool: ConnectionPool;
  logger: KafkajsLogger;
  nodeId: number | null;
  authenticationTimeout: number;
  allowAutoTopicCreation: boolean;
}) => Broker;

export const ConnectionPoolClass = require('kafkajs/src/network/connectionPool') as new (
  options: ConnectionPoolOptions,
) => ConnectionPool;

interface RequestQueue {
  pending: unknown[];
  scheduleCheckPendingRequests(): void;
}

let patched = false;

/**
 * kafkajs starts a timer after every answer, with a negative delay unless the broker throttles: Node 24 warns of it
 * (TimeoutNegativeWarning), and the timer is waste. It is needed only while requests wait; a request that comes to wait
 * later schedules the check itself (network/requestQueue/index.js, `push`).
 */
export function patchRequestQueue(): void {
  if (patched) return;
  patched = true;
  const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueue };
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) schedule.call(this);
  };
}
