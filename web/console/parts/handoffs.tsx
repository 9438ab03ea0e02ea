import type { ReadonlySignal } from '@preact/signals';
import { formatTime } from '../../shared/format.ts';
import type { FleetView, HandoffRow } from '../fleet/types.ts';
import { count, seconds } from '../format.ts';
import { type Column, Table } from './table.tsx';

const columns: readonly Column<HandoffRow>[] = [
  { name: 'At', cell: ({ atMs }) => formatTime(atMs) },
  { name: 'Partition', isNumber: true, cell: ({ partition }) => partition },
  { name: 'From', isMinor: true, cell: ({ from }) => from ?? <span class="soft">–</span> },
  { name: 'To', cell: ({ to }) => to },
  { name: 'Epoch', isNumber: true, cell: ({ epoch }) => count(epoch) },
  { name: 'Took', isNumber: true, cell: row => seconds(row.seconds) },
];

/** Partitions that changed their owner: from the assignment to the moment at which routers knew it. */
export function Handoffs({ view }: { view: ReadonlySignal<FleetView> }) {
  return (
    <section class="card">
      <h2>Handoffs</h2>
      <Table
        label="Handoffs"
        columns={columns}
        rows={view.value.handoffs}
        keyOf={({ key }) => key}
        nothing="No partition has changed hands since the gateways started."
        isTall
      />
    </section>
  );
}
