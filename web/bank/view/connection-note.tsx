import { useComputed, useSignal } from '@preact/signals';
import { useClock } from '../../shared/clock.ts';
import { formatCount, formatDuration, formatTime } from '../../shared/format.ts';
import type { Bank } from '../model/bank.ts';
import type { Outage } from '../model/outage.ts';

/** Tells of the last time that the page was cut off: while it lasts, and what came of it. */
export function ConnectionNote({ bank }: { bank: Pick<Bank, 'connection' | 'history'> }) {
  const dismissedMs = useSignal(0);
  const { outage } = bank.history.value;
  const isOpen = outage !== undefined && outage.untilMs === undefined;
  const isShown = useComputed(() => {
    const known = bank.history.value.outage;
    return known !== undefined && known.sinceMs !== dismissedMs.value;
  });
  return (
    <div class="connection-note" aria-live="polite">
      {outage !== undefined && isShown.value && (
        <div class={`notice ${isOpen ? 'warn' : 'good'}`}>
          {isOpen ? <Lasting outage={outage} connection={bank.connection} /> : <p>{storyOf(outage)}</p>}
          {!isOpen && (
            <button
              type="button"
              class="button quiet small"
              onClick={() => {
                dismissedMs.value = outage.sinceMs;
              }}
            >
              Dismiss
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Lasting({ outage, connection }: { outage: Outage } & Pick<Bank, 'connection'>) {
  const { retryAtMs, status } = connection.value;
  const nowMs = useClock(retryAtMs === undefined ? undefined : 250);
  const next =
    status === 'offline'
      ? 'Waiting for the network.'
      : retryAtMs !== undefined && retryAtMs > nowMs.value
        ? `Next try in ${formatDuration(retryAtMs - nowMs.value)}.`
        : 'Connecting …';
  return (
    <p>
      <strong>Disconnected since {formatTime(outage.sinceMs)}.</strong>{' '}
      {/* It changes several times a second: not for screen readers. */}
      <span aria-hidden="true">{next}</span> Nothing is lost: the page goes on where it was.
    </p>
  );
}

function storyOf({ sinceMs, untilMs = sinceMs, caughtUp, hasGap }: Outage): string {
  const back = `Disconnected at ${formatTime(sinceMs)} for ${formatDuration(untilMs - sinceMs)}.`;
  const events = caughtUp === 1 ? '1 event' : `${formatCount(caughtUp)} events`;
  if (hasGap) return `${back} The log had moved on, so balance and transactions were read anew.`;
  return caughtUp === 0
    ? `${back} Nothing happened meanwhile; nothing was lost.`
    : `${back} Caught up on ${events}; nothing was lost.`;
}
