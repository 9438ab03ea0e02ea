import type { Logger } from '../../lib/ops/index.ts';
import { type Batch, sizeOfBatch, splitBatch } from './batch.ts';
import type { Cleaner } from './cleaner.ts';
import type { CommandSpans } from './command-spans.ts';
import type { Bury } from './dead-letters.ts';
import { type FailureKind, FencedError, failureKindOf } from './failures.ts';
import type { Feed } from './feed.ts';
import type { HandlerMetrics } from './metrics.ts';
import type { Committed } from './process-batch.ts';
import { openSignal, pause } from './signal.ts';
import type { CommandIntake, DeadIntake, Intake, RowPlace } from './types.ts';

export interface WorkerOptions {
  feed: Pick<Feed, 'take'>;
  cleaner: Pick<Cleaner, 'take' | 'deleted' | 'giveBack'>;
  deadLetters: Bury;
  log: Logger;
  metrics: HandlerMetrics;
  /** Undefined where nothing is traced. */
  spans: CommandSpans | undefined;
  batchCommands: number;
  process(batch: Batch, acknowledged: readonly RowPlace[]): Promise<Committed>;
  publish(committed: Committed): void;
  /** Nothing that memory says of these partitions is to be trusted; undefined: of any. */
  distrust(partitions: readonly number[] | undefined): void;
}

/** Takes up one batch after the other; while one is in its transaction, the next fills and the last is being published. */
export interface Worker {
  /** There is something to take, or room for what it causes. */
  wake(): void;
  /** Finishes the batch under way. */
  close(): Promise<void>;
}

/** Why a batch must be read again: a claim is gone, or whether it was committed is not known. */
type Setback = 'fenced' | 'lost';

/** Deadlocks and races for a key dissolve by trying again; something that never does is not one of them. */
const mostAttempts = 8;
const lostMs = 250;

export function startWorker(options: WorkerOptions): Worker {
  const { feed, cleaner, deadLetters, log, metrics, spans } = options;
  const ready = openSignal();
  const ending = new AbortController();
  const running = run();

  return {
    wake: ready.raise,
    async close() {
      ending.abort();
      ready.raise();
      await running;
    },
  };

  async function run(): Promise<void> {
    for (;;) {
      await ready.wait();
      for (;;) {
        if (ending.signal.aborted) return;
        const taken = feed.take(options.batchCommands);
        if (taken === undefined) break;
        await bury(taken);
        const batch = spans?.begin(taken) ?? taken;
        const setback = await settle(batch);
        spans?.over(batch, setback);
        await recover(batch, setback);
      }
    }
  }

  async function recover(batch: Batch, failure: Setback | undefined): Promise<void> {
    if (failure === 'fenced') options.distrust(partitionsOf(batch));
    if (failure !== 'lost') return;
    options.distrust(undefined);
    await pause(lostMs, ending.signal);
  }

  /** Before the position passes them: a crash in between writes them twice, never not at all. */
  async function bury(batch: Batch): Promise<void> {
    const dead = batch.flatMap(({ intakes }) => intakes.filter(intake => intake.kind === 'dead'));
    if (dead.length === 0) return;
    metrics.commands.inc({ type: 'unknown', verdict: 'dead' }, dead.length);
    await Promise.all(dead.map(deadLetters)); // together: a topic that is stuck holds up the batch once
  }

  /** Undefined when done; else the batch must be read again. Halves what can't be committed until the culprit is alone. */
  async function settle(batch: Batch): Promise<Setback | undefined> {
    for (let attempt = 1; ; attempt++) {
      const failure = await tryOnce(batch);
      if (failure === undefined || failure === 'fenced' || failure === 'lost') return failure;
      if (failure !== 'data' && attempt < mostAttempts && !ending.signal.aborted) {
        await pause(attempt * attempt * Math.random() * 4, ending.signal);
        continue;
      }
      const halves = splitBatch(batch);
      if (halves === undefined) return failure === 'again' ? 'lost' : settleAlone(batch);
      return (await settle(halves[0])) ?? settle(halves[1]);
    }
  }

  /** A single record that can't be committed is refused; one that can't even be refused goes to the dead letters. */
  async function settleAlone(batch: Batch): Promise<Setback | undefined> {
    const [slice] = batch;
    const [intake] = slice?.intakes ?? [];
    if (slice === undefined || intake === undefined || intake.kind === 'dead') return 'lost';
    const { topic, partition, offset } = intake.at;
    const { traceparent } = intake;
    const line = { event: 'command_uncommittable', topic, partition, offset, traceparent } as const;
    log.error(line, 'a command could not be committed');
    const next: Intake = intake.refusal === undefined ? { ...intake, refusal: 'internal error' } : deadIntakeOf(intake);
    const again = [{ ...slice, intakes: [next] }];
    await bury(again);
    return settle(again);
  }

  async function tryOnce(batch: Batch): Promise<FailureKind | 'fenced' | undefined> {
    const acknowledged = cleaner.take();
    const end = metrics.batchSeconds.startTimer();
    try {
      const committed = await options.process(batch, acknowledged);
      end();
      spans?.committed(batch, committed.outcomes);
      cleaner.deleted(acknowledged);
      metrics.batchCommands.observe(sizeOfBatch(batch));
      for (const outcome of committed.outcomes) metrics.commands.inc({ type: outcome.type, verdict: outcome.verdict });
      options.publish(committed);
      return undefined;
    } catch (error) {
      cleaner.giveBack(acknowledged);
      return judge(error);
    }
  }

  function judge(error: unknown): FailureKind | 'fenced' {
    if (error instanceof FencedError) {
      metrics.fenced.inc();
      log.warn(
        { event: 'handler_fenced', lost: error.lost },
        'fenced: somebody else has claimed partitions of this batch',
      );
      return 'fenced';
    }
    const kind = failureKindOf(error);
    const line = { kind, error };
    if (kind === 'again') log.debug({ event: 'command_batch_retried', ...line }, 'a batch was not committed');
    else log.warn({ event: 'command_batch_failed', ...line }, 'a batch was not committed');
    return kind;
  }
}

function deadIntakeOf({ at, timestampMs, sizeBytes, command }: CommandIntake): DeadIntake {
  return {
    kind: 'dead',
    at,
    timestampMs,
    sizeBytes,
    exception: 'UndecidableCommand',
    message: 'the command can neither be decided nor refused',
    record: {
      ...{ ...at, timestampMs, headers: {} },
      key: Buffer.from(command.userKey),
      value: Buffer.from(JSON.stringify(command.arguments)),
    },
  };
}

function partitionsOf(batch: Batch): number[] {
  return [...new Set(batch.map(({ partition }) => partition))];
}
