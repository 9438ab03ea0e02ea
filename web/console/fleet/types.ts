import type { InstancesSubscription } from '../graphql/documents.ts';

/** What a process has told of itself, as the console's schema has it. */
export type InstanceState = InstancesSubscription['instances'];
export type GatewayState = NonNullable<InstanceState['gateway']>;
export type PartitionState = GatewayState['partitions'][number];
export type Tenure = PartitionState['state'];

/** The newest state of a process, and how old it is. */
export interface Instance extends InstanceState {
  ageMs: number;
  /** Nothing was heard of it for longer than it had said. What it told may not be so any more. */
  isSilent: boolean;
}

/** How a number moves. */
export type Trend = 'rising' | 'falling' | 'steady' | 'unknown';

/** null: not known. */
export interface PartitionRow {
  number: number;
  /** The gateway whose claim is the newest; undefined: none has one. */
  owner: string | undefined;
  state: 'owned' | 'claiming' | 'handing over' | 'silent' | 'no owner';
  epoch: number | null;
  sessions: number | null;
  lagRecords: number | null;
  lagSeconds: number | null;
  /** Age of what is known of it. */
  ageMs: number | null;
  /** By gateway, what each says of itself. */
  cells: ReadonlyMap<string, { tenure: Tenure; sessions: number; isSilent: boolean }>;
}

export interface HandoffRow {
  key: string;
  partition: number;
  to: string;
  /** undefined: nobody had it before, or that is not known any more. */
  from: string | undefined;
  epoch: number;
  atMs: number;
  seconds: number;
}

/** Sums over everything that is heard. null: not known, since one of them is not. */
export interface Totals {
  gateways: number;
  readyGateways: number;
  partitions: number;
  owned: number;
  sessions: number | null;
  deliveredPerSecond: number | null;
  commandsPerSecond: number | null;
  lagRecords: number | null;
  lagSeconds: number | null;
}

export interface FleetView {
  instances: readonly Instance[];
  partitions: readonly PartitionRow[];
  handoffs: readonly HandoffRow[];
  totals: Totals;
}
