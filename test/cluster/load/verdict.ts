import { checkStreams, wantedOf } from '../../chaos/check.ts';
import { fields, type Ids, Numbers, type Recording } from '../../chaos/evidence.ts';
import { gapTable, type Spread } from '../../chaos/gaps.ts';
import { readTruth, type TopicTruth } from '../../chaos/truth.ts';
import { until } from '../../support/until.ts';

export interface TruthSource {
  kafka: readonly string[];
  partitions: number;
  /** Of the run, by the clock, ms. */
  startMs: number;
  ids: Ids;
}

/** Counts over the whole run so far. */
export interface StreamCounts {
  lost: number;
  twice: number;
  outOfOrder: number;
  /** Not the caller's, or never in the log; only known when the load has stopped. */
  foreign: number;
  deliveries: number;
}

export type Truths = ReadonlyMap<string, TopicTruth>;

const topics = ['ticks', 'balance_changed'];
const patienceMs = 60_000;

export async function readTruths(source: TruthSource): Promise<Truths> {
  return new Map(
    await Promise.all(
      topics.map(async (topic): Promise<[string, TopicTruth]> => [topic, await readTruth(topic, source, () => {})]),
    ),
  );
}

/**
 * Compares what the streams have with the log as it was when it was read; what came since is left out. Waits for streams that
 * lack records, but not for ever: what does not come is lost.
 */
export async function checkUpTo(truths: Truths, recordings: readonly Recording[]): Promise<StreamCounts> {
  const wanted = recordings.map(recording => {
    const truth = truths.get(fields[recording.field].topic);
    return { recording, count: truth === undefined ? 0 : wantedOf(recording, truth) };
  });
  const known = () => wanted.every(({ recording, count }) => upTo(recording, truths).ids.length >= count);
  await until('the streams', known, patienceMs, 500).catch(() => undefined);
  const { lost, twice, outOfOrder, foreign, deliveries } = checkStreams(
    recordings.map(recording => upTo(recording, truths)),
    truths,
  );
  return { lost, twice, outOfOrder, foreign, deliveries };
}

/** A recording without the records that the log did not have when it was read. */
function upTo(recording: Recording, truths: Truths): Recording {
  const truth = truths.get(fields[recording.field].topic);
  const ids = new Numbers();
  const arrivedMs = new Numbers();
  const arrivals = recording.arrivedMs.view();
  for (const [index, id] of recording.ids.view().entries()) {
    if (truth === undefined || truth.rowsOf(id).length === 0) continue;
    ids.push(id);
    arrivedMs.push(arrivals[index] ?? 0);
  }
  return { ...recording, ids, arrivedMs };
}

/** The longest time from append to arrival of each client, over the records that were appended between two times. */
export function longestGaps(truths: Truths, recordings: readonly Recording[], fromMs: number, toMs: number): Spread {
  const [row] = gapTable([{ fault: '', fromMs, toMs, moved: new Set() }], recordings, truths, () => 0);
  return row?.stayed ?? { clients: 0, p50: 0, p99: 0, max: 0 };
}
