import { type Clients, openClients, usersOf } from '../../chaos/clients.ts';
import { type Diary, openDiary } from '../../chaos/diary.ts';
import { Ids, type Recording } from '../../chaos/evidence.ts';
import { startTicks } from '../../chaos/ticks.ts';
import { checkCommands } from '../../proof/check.ts';
import { collect } from '../../proof/evidence.ts';
import { seeded } from '../../proof/random.ts';
import { until } from '../../support/until.ts';
import { profileOf } from './profile.ts';
import { type FailedRequest, type Requests, startRequests } from './requests.ts';
import { checkUpTo, longestGaps, readTruths, type StreamCounts, type Truths } from './verdict.ts';

export interface LoadOptions {
  /** Of the router. */
  url: string;
  kafka: readonly string[];
  postgres: string;
  partitions: number;
  clients: number;
  ticksPerSecond: number;
  transfersPerSecond: number;
  seed: number;
  /** A longer gap of a stream is looked into, ms. */
  boundMs: number;
  print(line: string): void;
}

/** What one stretch of time looked like to the clients. */
export interface Stretch {
  /** Since the last stretch that was judged; over all streams. */
  counts: StreamCounts;
  /** Longest time from append to arrival of each stream, ms. */
  gaps: { clients: number; p50: number; p99: number; max: number };
  requests: number;
  failed: readonly FailedRequest[];
  /** What held up streams that waited for longer than {@link LoadOptions.boundMs}. */
  profile: readonly string[];
}

/** Subscribed clients, ticks and transfers, and what they have seen. */
export interface Load {
  diary: Diary;
  clients: Clients;
  requests: Requests;
  /** Streams that ended with an error, so far. */
  endings(): string[];
  /** Reads the log and judges what was appended between two times, ms since the run's start. */
  judge(fromMs: number, toMs: number): Promise<Stretch>;
  /** Stops what writes, and judges everything: what streams got, and what commands did. */
  finish(): Promise<End>;
  close(): Promise<void>;
}

/** The whole run. */
export interface End {
  counts: StreamCounts;
  /** What commands did that they should not have; each has to be 0. */
  commandFaults: ReturnType<typeof checkCommands>;
  commands: number;
  records: number;
  streams: number;
}

const none: StreamCounts = { lost: 0, twice: 0, outOfOrder: 0, foreign: 0, deliveries: 0 };

export async function openLoad(options: LoadOptions): Promise<Load> {
  const { url, kafka, postgres, partitions, seed, print } = options;
  const startMs = Date.now();
  const diary = openDiary(print);
  const ids = new Ids();
  const { users } = usersOf(options.clients);
  diary.note('run', `${options.clients} clients of ${users} users are coming`);
  const clients = await openClients({ url, name: `u${seed}`, clients: options.clients, diary, ids });
  const keys = [...clients.users.keys()];
  const perSecond = options.ticksPerSecond;
  const ticks = await startTicks({ kafka, keys, partitions, perSecond, random: seeded(seed) });
  const random = seeded(seed + 1);
  const { transfersPerSecond } = options;
  const requests = await startRequests({ users: clients.users, transfersPerSecond, random, diary });
  await until(
    'every stream to show something',
    () => clients.recordings.every(({ ids: got }) => got.length > 0),
    120_000,
  );
  diary.note('run', 'every client has seen something');

  const source = { kafka, partitions, startMs, ids };
  const { recordings } = clients;
  let before = none;
  async function judgeAll(truths: Truths): Promise<StreamCounts> {
    const all = await checkUpTo(truths, recordings);
    const counts = minus(all, before);
    before = all;
    return counts;
  }

  return {
    ...{ diary, clients, requests },
    endings: () => endingsOf(recordings),
    async judge(fromMs, toMs) {
      const truths = await readTruths(source);
      const counts = await judgeAll(truths);
      const within = (atMs: number) => atMs >= fromMs && atMs <= toMs;
      return {
        counts,
        gaps: longestGaps(truths, recordings, fromMs, toMs),
        requests: requests.askedMs.filter(within).length,
        failed: requests.failed.filter(({ atMs }) => within(atMs)),
        profile: profileOf(truths, recordings, diary, { fromMs, toMs, boundMs: options.boundMs }),
      };
    },
    async finish() {
      await requests.stop();
      await ticks.stop();
      const truths = await readTruths(source);
      before = none;
      const counts = await judgeAll(truths);
      counts.foreign = foreignIn(recordings, truths);
      const evidence = await collect({ url, kafka, postgres }, clients.users, requests.sent, new Map());
      return {
        counts,
        commandFaults: checkCommands(evidence),
        commands: requests.sent.length,
        records: [...truths.values()].reduce((sum, { rows }) => sum + rows, 0),
        streams: recordings.length,
      };
    },
    async close() {
      await ticks.stop();
      await clients.close();
    },
  };
}

function minus(a: StreamCounts, b: StreamCounts): StreamCounts {
  return {
    lost: a.lost - b.lost,
    twice: a.twice - b.twice,
    outOfOrder: a.outOfOrder - b.outOfOrder,
    foreign: a.foreign - b.foreign,
    deliveries: a.deliveries - b.deliveries,
  };
}

/** Records that streams got and that the log does not have, now that nobody writes. */
function foreignIn(recordings: readonly Recording[], truths: Truths): number {
  let found = 0;
  for (const recording of recordings) {
    const topic = recording.field === 'ticks' || recording.field === 'allTicks' ? 'ticks' : 'balance_changed';
    const truth = truths.get(topic);
    for (const id of recording.ids.view()) if (!truth || truth.rowsOf(id).length === 0) found++;
  }
  return found;
}

function endingsOf(recordings: readonly Recording[]): string[] {
  return recordings.flatMap(({ client, field, endings }) => endings.map(({ code }) => `${client} ${field}: ${code}`));
}
