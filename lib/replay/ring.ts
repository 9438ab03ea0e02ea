/**
 * The memory tier: the newest records of each held partition, all within one byte budget of the process. The oldest
 * records of whichever partition go first. A ring holds *every* record from its first offset on, so what it answers
 * is complete without further proof.
 */
import type { LogRecord } from './log-record.ts';

export interface Ring {
  /** Consecutive records, and the next offset behind them; what is not adjacent to what the ring has starts it anew. */
  append(from: number, records: readonly LogRecord[], next: number): void;
  /**
   * Records from right before what the ring has, found elsewhere; what is not adjacent is left. They count as the oldest:
   * the first to go.
   */
  prepend(from: number, records: readonly LogRecord[], next: number): void;
  /** The first offset that it has; -1 for none. */
  readonly first: number;
  /** Whether every record after `offset` is here. */
  reaches(offset: number): boolean;
  /** Records after `after` and before `until`, oldest first; only to be asked where `reaches(after)`. */
  after(after: number, until: number): Iterable<LogRecord>;
  /** The timestamp of the record at this offset; undefined where the ring does not have one. */
  timestampAt(offset: number): number | undefined;
  /** Gives its records back to the budget. */
  drop(): void;
}

export interface Rings {
  open(): Ring;
  bytes(): number;
}

/** A stretch of one ring, as it came: what is evicted at once. */
interface Segment {
  ring: RingState;
  records: readonly LogRecord[];
  next: number;
  sizeBytes: number;
  /** False once its ring was cleared. */
  alive: boolean;
}

interface RingState {
  /** Every record at or after it is in `segments`. */
  from: number;
  segments: Segment[];
  /** Segments before it are evicted. */
  head: number;
}

const segmentBytes = 96;

/** @param budgetBytes of all rings together; 0 keeps nothing. */
export function openRings(budgetBytes: number): Rings {
  let bytes = 0;
  /** All rings' segments by age; the ones before `oldest` are gone, `dead` more were cleared with their ring. */
  let order: Segment[] = [];
  let oldest = 0;
  let dead = 0;
  return { open, bytes: () => bytes };

  function open(): Ring {
    const state: RingState = { from: -1, segments: [], head: 0 };
    return {
      append(from, records, next) {
        const last = state.segments[state.segments.length - 1];
        if (state.from < 0 || from !== (last?.next ?? state.from)) {
          clear(state);
          state.from = from;
        } else if (records.length === 0 && last !== undefined) {
          last.next = next;
          return;
        }
        const segment = { ring: state, records, next, sizeBytes: segmentBytes, alive: true };
        for (const record of records) segment.sizeBytes += record.sizeBytes;
        state.segments.push(segment);
        order.push(segment);
        bytes += segment.sizeBytes;
        evict();
      },
      prepend(from, records, next) {
        const empty = state.from < 0;
        if ((!empty && next !== state.from) || from >= next) return;
        const segment = { ring: state, records, next, sizeBytes: segmentBytes, alive: true };
        for (const record of records) segment.sizeBytes += record.sizeBytes;
        state.segments.splice(state.head, 0, segment);
        state.from = from;
        order.splice(oldest, 0, segment);
        bytes += segment.sizeBytes;
        evict();
      },
      get first() {
        return state.from;
      },
      reaches: offset => state.from >= 0 && offset + 1 >= state.from,
      *after(after, until) {
        for (let index = firstSegment(state, after); index < state.segments.length; index += 1) {
          for (const record of state.segments[index]?.records ?? []) {
            if (record.record.offset >= until) return;
            if (record.record.offset > after) yield record;
          }
        }
      },
      timestampAt(offset) {
        const segment = state.segments[firstSegment(state, offset - 1)];
        return segment?.records.find(({ record }) => record.offset === offset)?.record.timestampMs;
      },
      drop: () => clear(state),
    };
  }

  function clear(state: RingState): void {
    for (let index = state.head; index < state.segments.length; index += 1) {
      const segment = state.segments[index];
      if (segment === undefined) continue;
      bytes -= segment.sizeBytes;
      segment.records = [];
      segment.alive = false;
      dead += 1;
    }
    if (dead > 1_000 && dead * 2 > order.length) {
      order = order.slice(oldest).filter(({ alive }) => alive);
      oldest = 0;
      dead = 0;
    }
    state.segments = [];
    state.head = 0;
    state.from = -1;
  }

  function evict(): void {
    while (bytes > budgetBytes) {
      const segment = order[oldest];
      if (segment === undefined) return;
      oldest += 1;
      if (!segment.alive) {
        dead -= 1;
        continue;
      }
      const { ring } = segment;
      ring.head += 1;
      ring.from = segment.next;
      bytes -= segment.sizeBytes;
      segment.records = [];
      if (ring.head > 1_000 && ring.head * 2 > ring.segments.length) {
        ring.segments = ring.segments.slice(ring.head);
        ring.head = 0;
      }
    }
    if (oldest > 1_000 && oldest * 2 > order.length) {
      order = order.slice(oldest);
      oldest = 0;
    }
  }
}

/** The first segment that has offsets after `after`. */
function firstSegment(state: RingState, after: number): number {
  let low = state.head;
  let high = state.segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((state.segments[middle]?.next ?? 0) <= after + 1) low = middle + 1;
    else high = middle;
  }
  return low;
}
