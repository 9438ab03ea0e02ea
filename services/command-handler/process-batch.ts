import type pg from 'pg';
import type { AppPlan, CommandApp } from '../../lib/app/index.ts';
import { allOf } from '../../lib/postgres/index.ts';
import type { Batch } from './batch.ts';
import {
  type CommandName,
  type DecidedBatch,
  decideBatch,
  nameOf,
  type Outcome,
  type PlannedRow,
  type Refusal,
} from './decide-batch.ts';
import { AppFaultError, FencedError } from './failures.ts';
import type { KeyPlace, Outbox } from './outbox.ts';
import { announce, type Piece } from './outbox-rows.ts';
import { isOfPostgres, queriesOf, together } from './postgres.ts';
import { tenuresOf, unread, type Written } from './publication.ts';
import { open, record, repeat, rest } from './statements.ts';
import type { CommandIntake, OutboxRow, RowPlace } from './types.ts';

export interface Processing<State, Change> {
  pool: pg.Pool;
  app: CommandApp<State, Change>;
  plan: AppPlan;
  /** What this handler owns and remembers; only read here. */
  outbox: Pick<Outbox, 'tenure' | 'highest'>;
  /**
   * Whether a partition is still held, asked once there is a connection: it may lead to another database than the one in which
   * the partition was claimed. Left out: it is.
   */
  isHeld?(partition: number): boolean;
  /** Whether more may be published of a partition; else its backlog is not read. Left out: it may. */
  hasRoom?(partition: number): boolean;
  partitionOf(key: string): number;
  now(): number;
  uuid(): string;
  /** Largest value of a record that an app may cause, bytes. */
  maxValueBytes: number;
  /** A decision that threw; the command is refused. */
  onFault(refusal: Refusal): void;
}

export interface Committed extends Written {
  outcomes: readonly Outcome[];
}

/** What a transaction reads of its keys' other rows; beyond it they are left to a select. */
const restLimit = { rows: 500, bytes: 4_194_304 };

/**
 * One transaction: positions, effects, verdicts, sequence numbers and outbox of a batch, all or nothing. `acknowledged`
 * rows are deleted with it. Decided again from the beginning while a decision fails, with that command refused.
 * @throws FencedError, AppFaultError, and whatever PostgreSQL says: `failureKindOf` judges.
 */
export async function processBatch<State, Change>(
  processing: Processing<State, Change>,
  batch: Batch,
  acknowledged: readonly RowPlace[] = [],
): Promise<Committed> {
  const refused = new Map<string, string>();
  for (;;) {
    const answer = await attempt(processing, batch, acknowledged, refused);
    if (!('reason' in answer)) return answer;
    const name = nameOf(answer.key, answer.commandId);
    if (refused.has(name)) throw new AppFaultError('refuse a command', answer.cause);
    refused.set(name, answer.reason);
    processing.onFault(answer);
  }
}

async function attempt<State, Change>(
  processing: Processing<State, Change>,
  batch: Batch,
  acknowledged: readonly RowPlace[],
  refused: ReadonlyMap<string, string>,
): Promise<Committed | Refusal> {
  const { app, plan, pool } = processing;
  const intakes = batch
    .flatMap(slice => slice.intakes)
    .filter((intake): intake is CommandIntake => intake.kind === 'command');
  const client = await pool.connect();
  let clean = false;
  try {
    const released = batch.filter(({ partition }) => processing.isHeld?.(partition) === false);
    if (released.length > 0) {
      clean = true;
      throw new FencedError(released);
    }
    const decidable = intakes.filter(({ refusal }) => refusal === undefined).map(({ command }) => command);
    const [, { moved, decided: known }, state] = await together(client, () =>
      allOf([
        client.query('BEGIN ISOLATION LEVEL READ COMMITTED'),
        open(client, batch, namesOf(intakes)),
        inApp('load', () => app.load(queriesOf(client), decidable)),
      ]),
    );
    const lost = batch.filter(
      ({ topic, partition }) => !moved.some(at => at.topic === topic && at.partition === partition),
    );
    if (lost.length > 0) {
      await client.query('ROLLBACK');
      clean = true;
      throw new FencedError(lost);
    }
    const decided = decideBatch(intakes, {
      ...processing,
      plan,
      state,
      decided: new Set(known.map(({ key, commandId }) => nameOf(key, commandId))),
      refused,
      nowMs: processing.now(),
    });
    if ('reason' in decided) {
      await client.query('ROLLBACK');
      clean = true;
      return decided;
    }
    const written = await writeDecided(client, processing, decided, acknowledged);
    clean = true;
    return { ...written, outcomes: decided.outcomes };
  } finally {
    // After a failure nobody knows which statements the connection has prepared, or whether it is still in the transaction.
    client.release(!clean);
  }
}

function namesOf(intakes: readonly CommandIntake[]): CommandName[] {
  return intakes.map(({ command }) => ({ key: command.userKey, commandId: command.id }));
}

/** The second half: what doesn't wait for an answer is sent in one go. COMMIT follows when all of it has gone well. */
async function writeDecided<State, Change>(
  client: pg.PoolClient,
  { app, outbox, hasRoom, partitionOf }: Processing<State, Change>,
  { rows, counts, changes, repeats }: DecidedBatch<Change>,
  acknowledged: readonly RowPlace[],
): Promise<Written> {
  const places = placesOf([...counts.keys(), ...repeats.map(({ key }) => key)], partitionOf);
  const tenures = tenuresOf(
    outbox,
    places.map(({ partition }) => partition),
    hasRoom,
  );
  const isForeign = (partition: number): boolean => tenures.get(partition) === undefined;
  const wanted = places.filter(({ partition }) => !isForeign(partition) && tenures.get(partition) !== unread);
  const foreign = [...tenures.keys()].filter(isForeign);

  const readRest = (): Promise<Piece> =>
    rest(
      client,
      wanted.map(place => ({ ...place, above: outbox.highest(place) })),
      restLimit,
    );
  const sent = together(client, () => {
    const saving = changes.length > 0 ? inApp('save', () => app.save(queriesOf(client), changes)) : nothing;
    const recording =
      rows.length > 0 || acknowledged.length > 0 ? record(client, rows, counts, isForeign, acknowledged) : noNumbers;
    const announcing = foreign.length > 0 ? announce(client, foreign) : nothing;
    const reading = repeats.length > 0 ? undefined : readRest();
    return { recording, reading, all: allOf([saving, recording, announcing, reading ?? nothing]) };
  });
  await sent.all;
  const last = await sent.recording;
  const repeated = repeats.length > 0 ? await repeat(client, unique(repeats), partitionOf, isForeign) : [];
  const left = await (sent.reading ?? readRest());
  const { command } = await client.query('COMMIT');
  if (command !== 'COMMIT') throw new Error(`the transaction ended with ${command}`);
  return {
    own: [...rows.map(row => numbered(row, last, counts)), ...repeated],
    rest: left.rows,
    restComplete: left.complete,
    tenures,
  };
}

const nothing = Promise.resolve();
const noNumbers = Promise.resolve(new Map<string, number>());

async function inApp<T>(doing: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw isOfPostgres(error) ? error : new AppFaultError(doing, error);
  }
}

function placesOf(keys: readonly string[], partitionOf: (key: string) => number): KeyPlace[] {
  return [...new Set(keys)].map(key => ({ key, partition: partitionOf(key) }));
}

function numbered(row: PlannedRow, last: ReadonlyMap<string, number>, counts: ReadonlyMap<string, number>): OutboxRow {
  const { nth, ...rest } = row;
  return { ...rest, sequence: (last.get(row.key) ?? 0) - (counts.get(row.key) ?? 0) + nth, repetition: 0 };
}

function unique(names: readonly CommandName[]): CommandName[] {
  return [...new Map(names.map(name => [nameOf(name.key, name.commandId), name])).values()];
}
