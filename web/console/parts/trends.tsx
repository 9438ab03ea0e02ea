import type { ReadonlySignal } from '@preact/signals';
import { formatTime } from '../../shared/format.ts';
import type { History, Sample } from '../fleet/history.ts';
import { count, rate } from '../format.ts';
import { Chart } from './chart.tsx';
import { type Column, Table } from './table.tsx';

/** The table beside a line has so many of its newest points. */
const tableRows = 30;

/** Lines of the last minutes, as this page has seen them. */
export function Trends({ history }: { history: ReadonlySignal<History> }) {
  const { samples } = history.value;
  return (
    <div class="columns">
      <Line title="Deliveries a second" samples={samples} value={one => one.deliveredPerSecond} textOf={rate} />
      <Line title="Lag in records" samples={samples} value={({ lagRecords }) => lagRecords} textOf={count} />
    </div>
  );
}

interface LineProps {
  title: string;
  samples: readonly Sample[];
  value(sample: Sample): number | null;
  textOf(value: number | null): string;
}

function Line({ title, samples, value, textOf }: LineProps) {
  const columns: Column<Sample>[] = [
    { name: 'Time', cell: ({ atMs }) => formatTime(atMs) },
    { name: title, isNumber: true, cell: sample => textOf(value(sample)) },
  ];
  const newest = samples.at(-1);
  return (
    <section class="card">
      <div class="head">
        <h2>{title}</h2>
        <span class="now">{newest === undefined ? 'unknown' : textOf(value(newest))}</span>
      </div>
      <Chart
        label={`${title} over the last minutes; its numbers are in the table below`}
        times={samples.map(({ atMs }) => atMs / 1_000)}
        values={samples.map(value)}
      />
      <details>
        <summary>As a table</summary>
        <Table
          label={`${title} over time`}
          columns={columns}
          rows={samples.slice(-tableRows).reverse()}
          keyOf={({ atMs }) => atMs}
          nothing="Nothing has been seen yet."
          isTall
        />
      </details>
    </section>
  );
}
