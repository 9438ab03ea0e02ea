import { partitionOf } from '../../lib/kafka/index.ts';
import { checkCommands, type Findings, type SentCommand } from '../proof/check.ts';
import { collect, ledgerOf } from '../proof/evidence.ts';
import { seeded } from '../proof/random.ts';
import { runUser } from '../proof/workload.ts';
import type { Stack } from '../support/stack.ts';
import type { User } from '../support/user.ts';
import { openLog } from './buffer/log.ts';
import { type BufferVerdict, watchBuffer } from './buffer/watch.ts';
import { checkStreams, type StreamVerdict, wantedOf } from './check.ts';
import { type Clients, openClients, usersOf } from './clients.ts';
import { type Diary, openDiary } from './diary.ts';
import { fields, Ids, type Recording } from './evidence.ts';
import type { Fault } from './faults/types.ts';
import { type GapRow, gapTable, type Span } from './gaps.ts';
import { type OwnerWatch, watchOwners } from './owners.ts';
import { schedule } from './schedule.ts';
import { startTicks } from './ticks.ts';
import type { Traps } from './traps.ts';
import { readTruth, type TopicTruth } from './truth.ts';
import { viewFaults } from './views.ts';
import { pause, whole } from './whole.ts';

export interface ChaosOptions extends Load {
  /** How long faults are injected. */
  minutes: number;
  faults: readonly Fault[];
}

/** What a stack has to do meanwhile. */
export interface Load {
  seed: number;
  clients: number;
  ticksPerSecond: number;
  /** Of all users together. */
  commandsPerSecond: number;
  /** Prefix of the run's users: runs that share a stack need different ones. */
  name: string;
}

export interface ChaosResult {
  findings: Findings & {
    /** Streams that ended with an error that should not have been. */
    ended: number;
    /** Faults that could not be done, or after which the stack did not become whole. */
    unhealed: number;
    /** Users whose view of their transactions is not what the log has. */
    viewFaults: number;
    /** What the replay buffer in Redis was made to take against its rules, or says that the log does not bear out. */
    bufferFaults: number;
  };
  buffer: BufferVerdict;
  streams: StreamVerdict;
  /** Faults with what went wrong with them. */
  spans: readonly (Span & { failure?: string })[];
  gaps: readonly GapRow[];
  truths: ReadonlyMap<string, TopicTruth>;
  recordings: readonly Recording[];
  owners: OwnerWatch['changes'];
  diary: Diary;
  counts: { deliveries: number; records: number; commands: number; streams: number; seconds: number };
}

/** Between the healing of one fault and the next. */
const betweenFaults = { minMs: 2_000, maxMs: 6_000 };
/** Behind a fault's healing its records may still be late, ms. */
const aftermathMs = 3_000;
/** When all is over, streams are waited for until they are complete, or nothing has come for so long, ms. */
const silentMs = 15_000;

/** One run: clients, commands and ticks while faults are injected; then the truth, and what the clients got of it. */
export async function chaos(
  stack: Stack,
  traps: Traps,
  options: ChaosOptions,
  print: (line: string) => void,
): Promise<ChaosResult> {
  return underLoad(
    stack,
    options,
    ({ clients, owners, diary }) => injectAll(stack, traps, clients, owners, options, diary),
    print,
  );
}

/** What happens to a stack while it is under load. */
export type Ordeal = (parts: { clients: Clients; owners: OwnerWatch; diary: Diary }) => Promise<readonly Injected[]>;

/** Has clients, commands and ticks while an ordeal lasts; then compares what the clients got with the truth. */
export async function underLoad(
  stack: Stack,
  options: Load,
  ordeal: Ordeal,
  print: (line: string) => void,
): Promise<ChaosResult> {
  const startMs = Date.now();
  const diary = openDiary(print);
  const ids = new Ids();
  const note = (line: string) => diary.note('run', line);
  const owners = watchOwners(stack.redis, stack.partitions, diary.now);
  const watch = await watchBuffer(stack.redis);
  const { users } = usersOf(options.clients);
  note(`${options.clients} clients of ${users} users are coming`);
  const clients = await openClients({ url: stack.url, name: options.name, clients: options.clients, diary, ids });
  note('all clients are there');
  const ticks = await startTicks({
    kafka: stack.kafka,
    keys: [...clients.users.keys()],
    partitions: stack.partitions,
    perSecond: options.ticksPerSecond,
    random: seeded(options.seed * 31 + 1),
  });
  const commands = startCommands(clients, options);
  const spans = await ordeal({ clients, owners, diary });
  note('no more faults');
  await commands.stop();
  await ticks.stop();

  const reading = { kafka: stack.kafka, partitions: stack.partitions, startMs, ids };
  const logs = new Map(['ticks', 'balance_changed'].map(topic => [topic, openLog()]));
  const truths = new Map(
    await Promise.all(
      [...logs].map(
        async ([topic, log]): Promise<[string, TopicTruth]> => [topic, await readTruth(topic, reading, log.add)],
      ),
    ),
  );
  note('the truth is read');
  await complete(clients.recordings, truths);
  owners.stop();
  const buffer = await watch.end(logs);
  const streams = checkStreams(clients.recordings, truths);
  note(`streams: ${JSON.stringify({ ...streams, named: streams.named.length })}`);
  await viewsFollow(stack, clients.users);
  const evidence = await collect(stack, clients.users, commands.sent, new Map());
  const wrongViews = await viewFaults(clients.users, truthOf(truths, 'balance_changed'), ids);
  const { recordings } = clients;
  await clients.close();
  const { lost, twice, outOfOrder, foreign } = streams;
  return {
    findings: {
      ...{ lost, twice, outOfOrder, foreign },
      ...checkCommands(evidence),
      ended: recordings.reduce((sum, { endings }) => sum + endings.length, 0),
      unhealed: spans.filter(({ failure }) => failure !== undefined).length,
      viewFaults: wrongViews,
      bufferFaults: buffer.faults,
    },
    ...{ buffer, streams, spans, truths, recordings, owners: owners.changes, diary },
    gaps: gapTable(withQuiet(spans), recordings, truths, user => partitionOf(user, stack.partitions)),
    counts: {
      deliveries: streams.deliveries,
      records: [...truths.values()].reduce((sum, { rows }) => sum + rows, 0),
      commands: commands.sent.length,
      streams: recordings.length,
      seconds: Math.round((Date.now() - startMs) / 1_000),
    },
  };
}

function truthOf(truths: ReadonlyMap<string, TopicTruth>, topic: string): TopicTruth {
  const truth = truths.get(topic);
  if (truth === undefined) throw new Error(`no truth about ${topic}`);
  return truth;
}

interface Commands {
  sent: SentCommand[];
  /** Resolves when every command under way has its verdict, or none in time. */
  stop(): Promise<void>;
}

/** Every user sends commands one after the other, so that all together make about the wanted rate. */
function startCommands({ users }: Clients, { seed, commandsPerSecond }: Load): Commands {
  const sent: SentCommand[] = [];
  const accounts = new Map<string, { iban: string; token: string }>();
  const stopping = new AbortController();
  const meanMs = (users.size * 1_000) / commandsPerSecond;
  const all = [...users.values()].map((user, index) => {
    const random = seeded(seed * 1_000 + index);
    return runUser(user, {
      ...{ random, accounts, sent, patienceMs: 120_000 },
      async more() {
        await pause(meanMs * (0.5 + random.next()), stopping.signal);
        return !stopping.signal.aborted;
      },
    }).catch(() => undefined); // a command without a verdict is among those sent
  });
  return {
    sent,
    async stop() {
      stopping.abort();
      await Promise.all(all);
    },
  };
}

export type Injected = Span & { failure?: string };

async function injectAll(
  stack: Stack,
  traps: Traps,
  clients: Clients,
  owners: OwnerWatch,
  { seed, minutes, faults }: ChaosOptions,
  diary: Diary,
): Promise<Injected[]> {
  const spans: Injected[] = [];
  const wanted: Record<string, number> = {};
  for (const { service } of stack.processes()) wanted[service] = (wanted[service] ?? 0) + 1;
  const byName = new Map(faults.map(fault => [fault.name, fault]));
  // Nobody cuts a run short yet: who ends the process ends the stack with it.
  const { signal } = new AbortController();
  const endMs = diary.now() + minutes * 60_000;
  for (const step of schedule(seed, [...byName.keys()], betweenFaults)) {
    await pause(step.pauseMs, signal);
    if (diary.now() > endMs) break;
    const fault = byName.get(step.fault);
    if (fault === undefined) continue;
    const fromMs = diary.now();
    const log = (line: string) => diary.note('run', `  ${step.fault}: ${line}`);
    log(`begins (seed ${step.seed})`);
    let failure: string | undefined;
    try {
      await fault.inject({ stack, random: seeded(step.seed), log, signal, clients, traps });
      await whole(stack, wanted, signal);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
      log(`FAILED: ${failure}`);
    }
    const toMs = diary.now() + aftermathMs;
    log(`healed after ${((diary.now() - fromMs) / 1_000).toFixed(1)} s`);
    spans.push({
      ...{ fault: step.fault, fromMs, toMs, moved: new Set<number>() },
      ...(failure === undefined ? {} : { failure }),
    });
  }
  await pause(aftermathMs, signal);
  return spans.map((span, index) => {
    // What comes behind the next one's beginning is the next one's.
    const toMs = Math.min(span.toMs, spans[index + 1]?.fromMs ?? span.toMs);
    return { ...span, toMs, moved: owners.movedBetween(span.fromMs, toMs) };
  });
}

/** The times between faults too, for comparison. */
function withQuiet(spans: readonly Span[]): Span[] {
  const quiet: Span[] = [];
  for (const [index, { fromMs }] of spans.entries()) {
    const since = spans[index - 1]?.toMs ?? 0;
    if (index > 0 && fromMs > since)
      quiet.push({ fault: '(none)', fromMs: since, toMs: fromMs - 500, moved: new Set() });
  }
  return [...spans, ...quiet].sort((a, b) => a.fromMs - b.fromMs);
}

/** Waits until every stream has as many records as it has to get, or nothing comes any more; and for what should not come. */
async function complete(recordings: readonly Recording[], truths: ReadonlyMap<string, TopicTruth>): Promise<void> {
  const wanted = recordings.map(recording => {
    return { recording, count: wantedOf(recording, truthOf(truths, fields[recording.field].topic)) };
  });
  let [last, sinceMs] = [0, performance.now()];
  while (
    wanted.some(({ recording, count }) => recording.ids.length < count) &&
    performance.now() - sinceMs < silentMs
  ) {
    const got = recordings.reduce((sum, { ids }) => sum + ids.length, 0);
    if (got !== last) [last, sinceMs] = [got, performance.now()];
    await pause(200);
  }
  await pause(2_000);
}

/** Views follow the ledger; a minute after the last command they must. */
async function viewsFollow({ postgres }: Stack, users: ReadonlyMap<string, User>): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (const { owner, balance } of await ledgerOf(postgres, users)) {
    for (;;) {
      const answer = await users
        .get(owner)
        ?.post('{ account { balance } }')
        .catch(() => undefined);
      const account = answer?.data.account as { balance: number } | null | undefined;
      if (account?.balance === balance || performance.now() > deadlineMs) break;
      await pause(200);
    }
  }
}
