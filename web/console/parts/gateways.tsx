import type { ReadonlySignal } from '@preact/signals';
import type { FleetView, GatewayState, Instance } from '../fleet/types.ts';
import { age, count, duration, mebibytes, percent, rate, seconds } from '../format.ts';
import { Status } from './status.tsx';
import { type Column, Table } from './table.tsx';

/** A cell of a gateway's own numbers: unknown while it is silent, and before it has told any. */
function of(cell: (gateway: GatewayState) => preact.ComponentChildren): (row: Instance) => preact.ComponentChildren {
  return ({ gateway, isSilent }) => (gateway === null || isSilent ? 'unknown' : cell(gateway));
}

const columns: readonly Column<Instance>[] = [
  { name: 'Gateway', cell: ({ instance }) => instance },
  { name: 'State', cell: instance => <Status instance={instance} /> },
  {
    name: 'Partitions',
    isNumber: true,
    cell: of(({ partitions }) => count(partitions.filter(({ state }) => state === 'OWNED').length)),
  },
  { name: 'Sessions', isNumber: true, cell: of(({ connections }) => count(connections)) },
  { name: 'Subscriptions', isNumber: true, cell: of(({ subscriptions }) => <Subscriptions all={subscriptions} />) },
  { name: 'Delivered a second', isNumber: true, cell: of(one => rate(one.deliveredPerSecond)) },
  {
    name: 'Lag',
    isNumber: true,
    cell: of(({ lagRecords, lagSeconds }) => (
      <>
        {count(lagRecords)} {lagRecords !== null && <span class="soft">· {seconds(lagSeconds)}</span>}
      </>
    )),
  },
  { name: 'Replays by tier', cell: of(({ replays, expired }) => <Replays replays={replays} expired={expired} />) },
  { name: 'Memory', isNumber: true, cell: row => (row.isSilent ? 'unknown' : mebibytes(row.memoryBytes)) },
  { name: 'CPU', isNumber: true, cell: row => (row.isSilent ? 'unknown' : percent(row.cpu)) },
  { name: 'Up for', isNumber: true, cell: row => (row.isSilent ? 'unknown' : upFor(row)) },
  { name: 'Version', isMinor: true, cell: ({ version }) => version },
  { name: 'Data’s age', isNumber: true, isMinor: true, cell: ({ ageMs }) => age(ageMs) },
];

export function Gateways({ view }: { view: ReadonlySignal<FleetView> }) {
  return (
    <section class="card">
      <h2>Gateways</h2>
      <Table
        label="Gateways"
        columns={columns}
        rows={view.value.instances.filter(({ service }) => service === 'gateway')}
        keyOf={({ key }) => key}
        nothing="No gateway has been heard of yet."
        classOf={({ isSilent, status }) => (isSilent || status !== 'READY' ? 'warn' : '')}
      />
    </section>
  );
}

function Subscriptions({ all }: { all: GatewayState['subscriptions'] }) {
  const byScope = (scope: string) => all.find(one => one.scope === scope)?.count ?? 0;
  return (
    <>
      {count(byScope('OWN'))} <span class="soft">own</span> {count(byScope('ALL'))} <span class="soft">all</span>
    </>
  );
}

function Replays({ replays, expired }: Pick<GatewayState, 'replays' | 'expired'>) {
  return (
    <ul class="inline">
      {replays.map(({ tier, count: times }) => (
        <li key={tier}>
          {count(times)} <span class="soft">{tier}</span>
        </li>
      ))}
      <li>
        {count(expired)} <span class="soft">expired</span>
      </li>
    </ul>
  );
}

/** By the brokers' clock and the process's own, which differ little. */
function upFor({ startedAt, publishedAt, ageMs }: Instance): string {
  return duration(Math.max(0, Date.parse(publishedAt) + ageMs - Date.parse(startedAt)));
}
