// Made by `npm run web:types` of documents.graphql. Do not edit.
/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
export type Status =
  | 'READY'
  | 'NOT_READY'
  | 'DRAINING'
  | 'GONE';

/** FOREIGN: another gateway's; sessions that are still here go on, and move. */
export type TenureState =
  | 'FOREIGN'
  | 'CLAIMING'
  | 'OWNED'
  | 'HANDING_OVER';

export type InstancesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type InstancesSubscription = { instances: { key: string, publishedAt: string, instance: string, service: string, version: string, startedAt: string, status: Status, intervalMs: number, memoryBytes: number | null, cpu: number | null, reasons: Array<{ part: string, reason: string }>, gateway: { address: string, partitionCount: number, connections: number | null, deliveredPerSecond: number | null, commandsWaiting: number | null, lagRecords: number | null, lagSeconds: number | null, expired: number | null, partitions: Array<{ number: number, state: TenureState, epoch: number | null, sessions: number, lagRecords: number | null, lagSeconds: number | null }>, subscriptions: Array<{ scope: string, count: number }>, replays: Array<{ tier: string, count: number }>, handoffs: Array<{ partition: number, epoch: number, at: string, seconds: number }> } | null, router: { connections: number | null, waiting: number | null, routedPerSecond: number | null } | null, commandHandler: { partitions: number, commandsPerSecond: number | null, outboxRecords: number | null, outboxSeconds: number | null, unacknowledged: number | null, lagRecords: number | null, lagSeconds: number | null, verdicts: Array<{ type: string, verdict: string, count: number }> } | null, projector: { recordsPerSecond: number | null, lagRecords: number | null, lagSeconds: number | null } | null } };

export type ConsoleQueryVariables = Exact<{ [key: string]: never; }>;


export type ConsoleQuery = { console: { topic: string, available: boolean, advice: string | null, instance: string } };

export type SessionsQueryVariables = Exact<{
  user: string;
}>;


export type SessionsQuery = { sessions: { partition: number, instance: string, tenure: string, connections: number } };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}

export const InstancesDocument = new TypedDocumentString(`
    subscription Instances {
  instances {
    key
    publishedAt
    instance
    service
    version
    startedAt
    status
    intervalMs
    memoryBytes
    cpu
    reasons {
      part
      reason
    }
    gateway {
      address
      partitionCount
      connections
      deliveredPerSecond
      commandsWaiting
      lagRecords
      lagSeconds
      expired
      partitions {
        number
        state
        epoch
        sessions
        lagRecords
        lagSeconds
      }
      subscriptions {
        scope
        count
      }
      replays {
        tier
        count
      }
      handoffs {
        partition
        epoch
        at
        seconds
      }
    }
    router {
      connections
      waiting
      routedPerSecond
    }
    commandHandler {
      partitions
      commandsPerSecond
      outboxRecords
      outboxSeconds
      unacknowledged
      lagRecords
      lagSeconds
      verdicts {
        type
        verdict
        count
      }
    }
    projector {
      recordsPerSecond
      lagRecords
      lagSeconds
    }
  }
}
    `) as unknown as TypedDocumentString<InstancesSubscription, InstancesSubscriptionVariables>;
export const ConsoleDocument = new TypedDocumentString(`
    query Console {
  console {
    topic
    available
    advice
    instance
  }
}
    `) as unknown as TypedDocumentString<ConsoleQuery, ConsoleQueryVariables>;
export const SessionsDocument = new TypedDocumentString(`
    query Sessions($user: String!) {
  sessions(user: $user) {
    partition
    instance
    tenure
    connections
  }
}
    `) as unknown as TypedDocumentString<SessionsQuery, SessionsQueryVariables>;
