import type { Client, Event } from '@penstock/client';
import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';

/** Where the next subscription begins: `last` is behind the result that came last, be it a query's or an event. */
export type Start = 'now' | 'earliest' | 'last';

/** One event of the running subscription. */
export interface ShownEvent {
  /** 1 for the first one. */
  number: number;
  atMs: number;
  /** JSON of the field's value, or of the whole result where there are errors. */
  text: string;
  replayed: boolean;
  /** The first event behind positions that the log does not have any more. */
  isBehindGap: boolean;
  cursor: string | undefined;
}

export interface Counts {
  events: number;
  replayed: number;
  /** Connections that were made anew, because one was lost or its gateway handed over. */
  reconnects: number;
  gaps: number;
}

/** What is to be seen of the subscription that runs, or has run last. The editor itself shows the last event alone. */
export interface StreamView {
  /** The newest first, at most {@link mostShown}. */
  readonly events: ReadonlySignal<readonly ShownEvent[]>;
  readonly counts: ReadonlySignal<Counts>;
  readonly isRunning: ReadonlySignal<boolean>;
  readonly start: Signal<Start>;
  readonly hasLast: ReadonlySignal<boolean>;
}

/** The same, for those who make it go on. */
export interface StreamLog extends StreamView {
  /** Options of `client.subscribe` for the beginning that was chosen. */
  beginning(): { from: string } | { cursor: string };
  began(): void;
  got(event: Event<unknown>): void;
  ended(): void;
  /** A result came that has a cursor; undefined: it has none. */
  sawCursor(cursor: string | undefined): void;
  /** Reads the client's counters again. */
  recount(): void;
}

export const mostShown = 100;

export function openStreamLog({ counters }: Pick<Client, 'counters'>, nowMs: () => number = Date.now): StreamLog {
  const events = signal<readonly ShownEvent[]>([]);
  const counts = signal<Counts>({ events: 0, replayed: 0, reconnects: 0, gaps: 0 });
  const isRunning = signal(false);
  const start = signal<Start>('now');
  const last = signal<string>();
  /** The client counts over all subscriptions. */
  let before = { ...counters };

  function recount(): void {
    counts.value = {
      ...counts.peek(),
      reconnects: counters.reconnects + counters.moves - before.reconnects - before.moves,
      gaps: counters.gaps - before.gaps,
    };
  }

  function sawCursor(cursor: string | undefined): void {
    if (cursor !== undefined) last.value = cursor;
  }

  return {
    events,
    counts,
    isRunning,
    start,
    hasLast: computed(() => last.value !== undefined),
    beginning() {
      const cursor = last.peek();
      if (start.peek() === 'last' && cursor !== undefined) return { cursor };
      return { from: start.peek() === 'earliest' ? 'earliest' : 'now' };
    },
    began() {
      before = { ...counters };
      events.value = [];
      counts.value = { events: 0, replayed: 0, reconnects: 0, gaps: 0 };
      isRunning.value = true;
    },
    got({ data, errors, cursor, replayed, gap = false }) {
      const number = counts.peek().events + 1;
      counts.value = { ...counts.peek(), events: number, replayed: counts.peek().replayed + Number(replayed) };
      const text = JSON.stringify(errors === undefined ? fieldOf(data) : { data, errors });
      const event = { number, atMs: nowMs(), text, replayed, isBehindGap: gap, cursor };
      events.value = [event, ...events.peek().slice(0, mostShown - 1)];
      sawCursor(cursor);
      recount();
    },
    ended() {
      isRunning.value = false;
    },
    sawCursor,
    recount,
  };
}

/** A subscription has one field: its name says nothing in a list of events. */
function fieldOf(data: unknown): unknown {
  const values = typeof data === 'object' && data !== null ? Object.values(data) : [];
  return values.length === 1 ? values[0] : data;
}
