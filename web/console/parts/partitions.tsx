import type { ReadonlySignal } from '@preact/signals';
import { type History, trendOf } from '../fleet/history.ts';
import type { FleetView, PartitionRow, Trend } from '../fleet/types.ts';
import { age, count, seconds } from '../format.ts';
import { type Column, Table } from './table.tsx';

const arrows: Readonly<Record<Trend, string>> = { rising: '↗', falling: '↘', steady: '→', unknown: '' };

/** Every partition, with who owns it and how it fares. */
export function Partitions({ view, history }: { view: ReadonlySignal<FleetView>; history: ReadonlySignal<History> }) {
  const { lags } = history.value;
  const columns: Column<PartitionRow>[] = [
    { name: 'Partition', isNumber: true, cell: ({ number }) => number },
    { name: 'Owner', cell: ({ owner, state }) => <Owner owner={owner} state={state} /> },
    { name: 'Epoch', isNumber: true, cell: ({ epoch }) => count(epoch) },
    { name: 'Sessions', isNumber: true, cell: ({ sessions }) => count(sessions) },
    { name: 'Lag', isNumber: true, cell: row => <Lag row={row} trend={trendOf(lags.get(row.number))} /> },
    { name: 'Data’s age', isNumber: true, isMinor: true, cell: ({ ageMs }) => age(ageMs) },
  ];
  return (
    <section class="card">
      <h2>Partitions</h2>
      <Table
        label="Partitions"
        columns={columns}
        rows={view.value.partitions}
        keyOf={({ number }) => number}
        nothing="Nothing is known of any partition yet."
        classOf={({ state }) => (state === 'owned' ? '' : 'warn')}
        isTall
      />
    </section>
  );
}

function Owner({ owner, state }: Pick<PartitionRow, 'owner' | 'state'>) {
  if (owner === undefined) return <span class="badge bad">no owner</span>;
  return (
    <>
      {owner} {state !== 'owned' && <span class={`badge ${state === 'silent' ? 'bad' : 'warn'}`}>{state}</span>}
    </>
  );
}

function Lag({ row, trend }: { row: PartitionRow; trend: Trend }) {
  const { lagRecords, lagSeconds } = row;
  return (
    <>
      {count(lagRecords)}
      {lagRecords !== null && <span class="soft"> · {seconds(lagSeconds)}</span>}
      {trend !== 'unknown' && (
        <span class={`trend ${trend}`}>
          <span aria-hidden="true"> {arrows[trend]}</span>
          <span class="visually-hidden">, {trend}</span>
        </span>
      )}
    </>
  );
}
