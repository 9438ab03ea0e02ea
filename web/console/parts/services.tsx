import type { ReadonlySignal } from '@preact/signals';
import type { FleetView, Instance } from '../fleet/types.ts';
import { age, count, mebibytes, percent, rate, seconds } from '../format.ts';
import { Status } from './status.tsx';
import { type Column, Table } from './table.tsx';

const name = (title: string): Column<Instance> => ({ name: title, cell: ({ instance }) => instance });
const state: Column<Instance> = { name: 'State', cell: instance => <Status instance={instance} /> };
const common: readonly Column<Instance>[] = [
  { name: 'Memory', isNumber: true, isMinor: true, cell: ({ memoryBytes }) => mebibytes(memoryBytes) },
  { name: 'CPU', isNumber: true, isMinor: true, cell: ({ cpu }) => percent(cpu) },
  { name: 'Data’s age', isNumber: true, isMinor: true, cell: ({ ageMs }) => age(ageMs) },
];

/** Shows what is in the part of a state; unknown while the process is silent, and before it has told any. */
function from<Part>(part: (row: Instance) => Part | null, cell: (part: Part) => preact.ComponentChildren) {
  return (row: Instance): preact.ComponentChildren => {
    const found = row.isSilent ? null : part(row);
    return found === null ? 'unknown' : cell(found);
  };
}

const handler = ({ commandHandler }: Instance) => commandHandler;
const router = ({ router }: Instance) => router;
const projector = ({ projector }: Instance) => projector;

const handlers: readonly Column<Instance>[] = [
  name('Command handler'),
  state,
  { name: 'Partitions', isNumber: true, cell: from(handler, ({ partitions }) => count(partitions)) },
  { name: 'Commands a second', isNumber: true, cell: from(handler, one => rate(one.commandsPerSecond)) },
  { name: 'Verdicts', cell: from(handler, ({ verdicts }) => <Verdicts verdicts={verdicts} />) },
  {
    name: 'Outbox',
    isNumber: true,
    cell: from(handler, ({ outboxRecords, outboxSeconds }) => (
      <>
        {count(outboxRecords)} <span class="soft">records, oldest {seconds(outboxSeconds)}</span>
      </>
    )),
  },
  { name: 'Lag', isNumber: true, cell: from(handler, ({ lagRecords }) => count(lagRecords)) },
  ...common,
];

const projectors: readonly Column<Instance>[] = [
  name('Projector'),
  state,
  { name: 'Records a second', isNumber: true, cell: from(projector, one => rate(one.recordsPerSecond)) },
  {
    name: 'Lag',
    isNumber: true,
    cell: from(projector, ({ lagRecords, lagSeconds }) => (
      <>
        {count(lagRecords)} {lagRecords !== null && <span class="soft">· {seconds(lagSeconds)}</span>}
      </>
    )),
  },
  ...common,
];

const routers: readonly Column<Instance>[] = [
  name('Router'),
  state,
  { name: 'Connections', isNumber: true, cell: from(router, ({ connections }) => count(connections)) },
  { name: 'Waiting', isNumber: true, cell: from(router, ({ waiting }) => count(waiting)) },
  { name: 'Requests a second', isNumber: true, cell: from(router, one => rate(one.routedPerSecond)) },
  ...common,
];

const tables = [
  { service: 'command-handler', title: 'Commands and outbox', label: 'Command handlers', columns: handlers },
  { service: 'projector', title: 'Projectors', label: 'Projectors', columns: projectors },
  { service: 'router', title: 'Routers', label: 'Routers', columns: routers },
];

export function Services({ view }: { view: ReadonlySignal<FleetView> }) {
  return tables.map(({ service, title, label, columns }) => (
    <section key={service} class="card">
      <h2>{title}</h2>
      <Table
        label={label}
        columns={columns}
        rows={view.value.instances.filter(one => one.service === service)}
        keyOf={({ key }) => key}
        nothing="None has been heard of yet."
        classOf={({ isSilent, status }) => (isSilent || status !== 'READY' ? 'warn' : '')}
      />
    </section>
  ));
}

function Verdicts({ verdicts }: Pick<NonNullable<Instance['commandHandler']>, 'verdicts'>) {
  if (verdicts.length === 0) return 'none yet';
  return (
    <ul class="inline">
      {verdicts.map(({ type, verdict, count: times }) => (
        <li key={`${type}/${verdict}`}>
          {count(times)}{' '}
          <span class="soft">
            {type}: {verdict}
          </span>
        </li>
      ))}
    </ul>
  );
}
