import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Field } from '../../shared/field.tsx';
import { formatCents, formatChange, formatDay, formatTime, parseCents } from '../../shared/format.ts';
import type { TransactionFieldsFragment } from '../graphql/documents.ts';
import { type Filters, isNarrowed } from '../model/filters.ts';
import type { Row } from '../model/rows.ts';
import type { TransactionFeed } from '../model/transactions.ts';
import { Iban } from './iban.tsx';

/** The list of transactions, its filters, and what to do where it is empty. */
export function Transactions({ feed }: { feed: TransactionFeed }) {
  const rows = feed.rows.value;
  return (
    <section class="card transactions" aria-labelledby="transactions-title">
      <h2 id="transactions-title">Activity</h2>
      <FilterForm feed={feed} />
      <table aria-label="Transactions">
        <thead>
          <tr>
            <th scope="col" class="wide">
              Time
            </th>
            <th scope="col">Description</th>
            <th scope="col" class="number">
              Amount
            </th>
            <th scope="col" class="number wide">
              Balance
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <TransactionRow key={row.transaction.id} row={row} />
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <Empty feed={feed} />}
      {feed.hasOlder.value && (
        <button
          type="button"
          class="button quiet"
          aria-disabled={feed.isLoadingOlder.value}
          onClick={() => feed.loadOlder()}
        >
          {feed.isLoadingOlder.value ? 'Loading …' : 'Load more'}
        </button>
      )}
    </section>
  );
}

function TransactionRow({ row: { transaction, isArrival } }: { row: Row }) {
  const { time, descr, fromTo, changedBy, newBalance, direction } = transaction;
  return (
    <tr class={isArrival ? 'arrival' : undefined}>
      <td class="wide">
        <time dateTime={time}>
          <span>{formatTime(time)}</span> <span class="caption">{formatDay(time)}</span>
        </time>
      </td>
      <td class="what">
        <span class="description">{descr === '' ? 'No description' : descr}</span>
        <span class="caption">
          {direction === 'CREDIT' ? 'from ' : 'to '}
          <Iban value={fromTo} />
        </span>
        <span class="caption short">
          {formatDay(time)}, {formatTime(time)}
        </span>
      </td>
      <td class={`number ${changedBy > 0 ? 'credit' : 'debit'}`}>{formatChange(changedBy)}</td>
      <td class="number wide">{formatCents(newBalance)}</td>
    </tr>
  );
}

function Empty({ feed }: { feed: TransactionFeed }) {
  if (!feed.isLoaded.value) return <p class="empty">Loading your transactions …</p>;
  if (isNarrowed(feed.filters.value)) return <p class="empty">No transaction fits these filters.</p>;
  return (
    <div class="empty">
      <p>Nothing has happened yet.</p>
      <p class="caption">
        Pay in some cash. Then log in as somebody else in another tab, and pay each other: both pages show it at once.
      </p>
    </div>
  );
}

/** How long a text is left alone before it is asked for, ms. */
const typingMs = 300;

function FilterForm({ feed }: { feed: TransactionFeed }) {
  const minimum = useSignal('');
  const description = useSignal(feed.filters.peek().description);
  const direction = useSignal<Filters['direction']>(feed.filters.peek().direction);
  const minimumCents = minimum.value.trim() === '' ? undefined : parseCents(minimum.value);
  const isWrong = minimum.value.trim() !== '' && (minimumCents === undefined || minimumCents < 0);

  useEffect(() => {
    if (isWrong) return undefined;
    const wanted = { direction: direction.value, minimumCents, description: description.value };
    if (JSON.stringify(wanted) === JSON.stringify(feed.filters.peek())) return undefined;
    const timer = setTimeout(() => feed.narrow(wanted), typingMs);
    return () => clearTimeout(timer);
  }, [feed, isWrong, direction.value, minimumCents, description.value]);

  return (
    <form class="filters" onSubmit={event => event.preventDefault()} aria-label="Filters">
      <div class="field">
        <label for="filter-direction">Direction</label>
        <select
          id="filter-direction"
          value={direction.value ?? ''}
          onChange={event => {
            const { value } = event.currentTarget;
            direction.value = value === 'CREDIT' || value === 'DEBIT' ? value : undefined;
          }}
        >
          <option value="">Both</option>
          <option value="CREDIT">Received</option>
          <option value="DEBIT">Sent</option>
        </select>
      </div>
      <Field
        {...{ id: 'filter-minimum', label: 'Minimum', value: minimum, inputMode: 'decimal', placeholder: '0.00' }}
        fault={isWrong ? 'An amount such as 12.34.' : undefined}
        onInput={event => {
          minimum.value = event.currentTarget.value;
        }}
      />
      <Field
        {...{ id: 'filter-description', label: 'Description contains', value: description, autocomplete: 'off' }}
        onInput={event => {
          description.value = event.currentTarget.value;
        }}
      />
    </form>
  );
}

/** Tells screen readers of a transaction that arrives. @param transaction the newest; undefined: none has come since the page was opened. */
export function Announcement({ transaction }: { transaction: TransactionFieldsFragment | undefined }) {
  return (
    <p class="visually-hidden" aria-live="polite">
      {transaction !== undefined &&
        `${transaction.direction === 'CREDIT' ? 'Received' : 'Sent'} ${formatCents(Math.abs(transaction.changedBy))}, ` +
          `${transaction.descr}. Balance ${formatCents(transaction.newBalance)}.`}
    </p>
  );
}
