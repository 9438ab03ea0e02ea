/** A thread with many clients. Its parent is told where they stand ten times a second, and the rest when it asks. */
import { parentPort, workerData } from 'node:worker_threads';
import { openSwarmClient, type SwarmClient } from './client.ts';
import { eagerWait, stockWait } from './retry.ts';
import type { Address } from './wire.ts';

export interface ClientsThreadData {
  address: Omit<Address, 'from'>;
  users: readonly SwarmUser[];
  connectsPerSecond: number;
  retry: 'stock' | 'eager';
  /** To a gateway itself, without asking a router for the way. */
  direct: boolean;
  /** Of a record only its number is looked at: no delays are measured. */
  countOnly: boolean;
  /** Default: no. */
  padding?: boolean;
  /** Int32: how many records of each user Kafka has acknowledged. */
  acknowledged: SharedArrayBuffer;
}

export interface SwarmUser {
  /** In `acknowledged`. Several clients may be one user. */
  index: number;
  accessToken: string;
  /** Clients are reported by groups: those that are hit, those that are not. */
  group: string;
}

/**
 * `mark`: from now on it is measured how long clients take to come back. `pause`: all of them stop reading their sockets;
 * `resume`: they go on, and it is measured how long each takes until it has what is acknowledged by then.
 */
export type ToClients = { kind: 'mark' | 'resume'; atMs: number } | { kind: 'pause' | 'report' | 'close' };
export type FromClients =
  /** `live`: streams that have been open once; `caughtUp`: since the mark. */
  | { kind: 'status'; atMs: number; live: number; caughtUp: number; complete: number }
  | { kind: 'report'; groups: Readonly<Record<string, GroupReport>>; counts: Readonly<Record<string, number>> };

export interface GroupReport {
  clients: number;
  records: number;
  lost: number;
  twice: number;
  /** Clients that have not all that was acknowledged. */
  incomplete: number;
  /** From the mark until each client's stream was open again, and until it had everything acknowledged by then. */
  reopenedMs: readonly number[];
  caughtUpMs: readonly number[];
  /** From `resume` until each client had everything acknowledged by then. */
  resumedMs: readonly number[];
  /** Append → client, of every record before and since the mark; and the longest of each client since. */
  latencyBeforeMs: readonly number[];
  latencySinceMs: readonly number[];
  longestMs: readonly number[];
}

interface Followed {
  user: SwarmUser;
  client: SwarmClient;
  wasLive: boolean;
  /** Its stream is open again, and has everything once it has this record. */
  reopenedAtMs: number | undefined;
  target: number;
  caughtUpAtMs: number | undefined;
  longestMs: number | undefined;
  /** What it has to have to be done with what it missed while it did not read, and when it was. */
  resumeTarget: number;
  resumedAtMs: number | undefined;
}

const data = workerData as ClientsThreadData;
const acknowledged = new Int32Array(data.acknowledged);
const counts: Record<string, number> = {};
const followed: Followed[] = [];
const latencies = { before: new Map<string, number[]>(), since: new Map<string, number[]>() };
let markMs: number | undefined;
let resumeMs: number | undefined;
let caughtUp = 0;
let live = 0;

const batch = Math.max(1, Math.round(data.connectsPerSecond / 50));
let next = 0;
const ramp = setInterval(() => {
  for (const user of data.users.slice(next, next + batch)) follow(user);
  next += batch;
  if (next >= data.users.length) clearInterval(ramp);
}, 20);

const telling = setInterval(
  () => tell({ kind: 'status', atMs: Date.now(), live, caughtUp, complete: complete() }),
  100,
);

parentPort?.on('message', (message: ToClients) => {
  if (message.kind === 'mark') markMs = message.atMs;
  else if (message.kind === 'pause') for (const { client } of followed) client.pause();
  else if (message.kind === 'resume') resume(message.atMs);
  else if (message.kind === 'report') tell({ kind: 'report', groups: report(), counts });
  else {
    clearInterval(ramp);
    clearInterval(telling);
    for (const { client } of followed) client.close();
    parentPort?.close();
  }
});

function follow(user: SwarmUser): void {
  const one: Followed = {
    user,
    client: openSwarmClient({
      address: data.address,
      accessToken: user.accessToken,
      direct: data.direct,
      countOnly: data.countOnly,
      padding: data.padding ?? false,
      retryWait: data.retry === 'stock' ? stockWait : eagerWait,
      count: what => {
        const name = markMs === undefined ? what : `${what} (since the mark)`;
        counts[name] = (counts[name] ?? 0) + 1;
      },
      live: () => opened(one),
      record: record => took(one, record?.atMs),
    }),
    wasLive: false,
    reopenedAtMs: undefined,
    target: 0,
    caughtUpAtMs: undefined,
    longestMs: undefined,
    resumeTarget: 0,
    resumedAtMs: undefined,
  };
  followed.push(one);
}

function opened(one: Followed): void {
  if (!one.wasLive) live += 1;
  one.wasLive = true;
  if (markMs === undefined || one.reopenedAtMs !== undefined) return;
  one.reopenedAtMs = Date.now();
  one.target = acknowledged[one.user.index] ?? 0;
  judge(one);
}

/** @param atMs undefined where nobody looked. */
function took(one: Followed, atMs: number | undefined): void {
  if (resumeMs !== undefined) judgeResumed(one);
  if (atMs !== undefined) measure(one, atMs);
  if (markMs !== undefined) judge(one);
}

function measure(one: Followed, atMs: number): void {
  const latencyMs = Date.now() - atMs;
  const list = markMs === undefined || atMs < markMs ? latencies.before : latencies.since;
  const values = list.get(one.user.group);
  if (values === undefined) list.set(one.user.group, [latencyMs]);
  else values.push(latencyMs);
  if (markMs !== undefined) one.longestMs = Math.max(one.longestMs ?? 0, latencyMs);
}

function resume(atMs: number): void {
  resumeMs = atMs;
  for (const one of followed) {
    one.resumeTarget = acknowledged[one.user.index] ?? 0;
    judgeResumed(one);
    one.client.resume();
  }
}

function judgeResumed(one: Followed): void {
  if (one.resumedAtMs === undefined && one.client.seen.last >= one.resumeTarget) one.resumedAtMs = Date.now();
}

function judge(one: Followed): void {
  if (one.reopenedAtMs === undefined || one.caughtUpAtMs !== undefined || one.client.seen.last < one.target) return;
  one.caughtUpAtMs = Date.now();
  caughtUp += 1;
}

function isComplete({ user, client }: Followed): boolean {
  return client.seen.last >= (acknowledged[user.index] ?? 0);
}

function complete(): number {
  return followed.filter(isComplete).length;
}

function report(): Record<string, GroupReport> {
  const groups: Record<string, GroupReport> = {};
  for (const name of new Set(data.users.map(({ group }) => group))) {
    const members = followed.filter(({ user }) => user.group === name);
    const sum = (of: (one: Followed) => number) => members.reduce((total, one) => total + of(one), 0);
    const since = (fromMs: number | undefined, of: (one: Followed) => number | undefined) =>
      members.flatMap(one => {
        const atMs = of(one);
        return atMs === undefined ? [] : [atMs - (fromMs ?? 0)];
      });
    groups[name] = {
      clients: members.length,
      records: sum(({ client }) => client.seen.records),
      lost: sum(({ client }) => client.seen.lost),
      twice: sum(({ client }) => client.seen.twice),
      incomplete: members.filter(one => !isComplete(one)).length,
      reopenedMs: since(markMs, ({ reopenedAtMs }) => reopenedAtMs),
      caughtUpMs: since(markMs, ({ caughtUpAtMs }) => caughtUpAtMs),
      resumedMs: since(resumeMs, ({ resumedAtMs }) => resumedAtMs),
      latencyBeforeMs: latencies.before.get(name) ?? [],
      latencySinceMs: latencies.since.get(name) ?? [],
      longestMs: members.flatMap(({ longestMs }) => (longestMs === undefined ? [] : [longestMs])),
    };
  }
  return groups;
}

function tell(message: FromClients): void {
  parentPort?.postMessage(message);
}
