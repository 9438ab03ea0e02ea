import type { State } from '@penstock/client';
import type { ReadonlySignal } from '@preact/signals';
import { formatCount, formatTime } from '../shared/format.ts';
import { type Counts, mostShown, type ShownEvent, type Start, type StreamView } from './stream.ts';

const starts: Readonly<Record<Start, string>> = {
  now: 'now',
  earliest: 'the earliest event',
  last: 'behind the last result',
};

/** What is to be seen of a subscription beside its last event: how many came, which of them were replayed, and their cursors. */
export function StreamStrip({ stream, state }: { stream: StreamView; state: ReadonlySignal<State> }) {
  const { events, counts, isRunning, start, hasLast } = stream;
  return (
    <section class="stream" aria-label="Subscription">
      <div class="stream-line">
        <p data-testid="counts">
          {counts.value.events === 0 && !isRunning.value ? 'No subscription yet.' : told(counts.value)}
        </p>
        {state.value.reason && isRunning.value && state.value.status !== 'live' && (
          <p class="soft">Connection: {state.value.reason}</p>
        )}
        <label class="start">
          Start at
          <select
            value={start.value}
            onChange={event => {
              start.value = event.currentTarget.value as Start;
            }}
          >
            {(Object.keys(starts) as Start[]).map(value => (
              <option key={value} value={value} disabled={value === 'last' && !hasLast.value}>
                {starts[value]}
              </option>
            ))}
          </select>
        </label>
      </div>
      {events.value.length > 0 && (
        <details>
          <summary>
            Events, newest first
            {counts.value.events > mostShown && ` (the last ${mostShown})`}
          </summary>
          <ol>
            {events.value.map(event => (
              <Row key={event.number} event={event} />
            ))}
          </ol>
        </details>
      )}
    </section>
  );
}

function Row({ event: { number, atMs, text, replayed, isBehindGap, cursor } }: { event: ShownEvent }) {
  return (
    <li value={number}>
      <span class="meta">
        <b>{number}</b> {formatTime(atMs)} {replayed && <span class="chip">replayed</span>}
        {isBehindGap && <span class="chip bad">behind a gap</span>}
      </span>
      <code>{text}</code>
      {cursor !== undefined && (
        <code class="cursor" title={cursor}>
          <span class="visually-hidden">cursor </span>…{cursor.slice(-12)}
        </code>
      )}
    </li>
  );
}

function told({ events, replayed, reconnects, gaps }: Counts): string {
  return [
    `${formatCount(events)} ${events === 1 ? 'event' : 'events'}`,
    `${formatCount(replayed)} replayed`,
    `${formatCount(reconnects)} ${reconnects === 1 ? 'reconnect' : 'reconnects'}`,
    `${formatCount(gaps)} ${gaps === 1 ? 'gap' : 'gaps'}`,
  ].join(', ');
}
