import type { ReadonlySignal } from '@preact/signals';
import type { FleetView, PartitionRow, Tenure } from '../fleet/types.ts';
import { Scroll } from './table.tsx';

/** Letters, so that a state is told by more than its colour. */
const marks: Readonly<Record<Tenure | 'SILENT', { letter: string; text: string }>> = {
  OWNED: { letter: 'O', text: 'owned' },
  CLAIMING: { letter: 'C', text: 'claiming' },
  HANDING_OVER: { letter: 'H', text: 'handing over' },
  FOREIGN: { letter: 's', text: 'serves sessions' },
  SILENT: { letter: '?', text: 'silent: not known' },
};

type Cell = PartitionRow['cells'] extends ReadonlyMap<string, infer Value> ? Value : never;

/** Who has what: a row for each gateway, a column for each partition. */
export function Ownership({ view }: { view: ReadonlySignal<FleetView> }) {
  const { partitions, instances } = view.value;
  const gateways = instances.filter(({ service }) => service === 'gateway').map(({ instance }) => instance);
  const orphans = partitions.filter(({ state }) => state === 'no owner').length;
  return (
    <section class="card">
      <div class="head">
        <h2>Ownership</h2>
        <ul class="legend" aria-label="Legend">
          {Object.values(marks).map(({ letter, text }) => (
            <li key={text}>
              <span class={`cell ${classOf(text)}`} aria-hidden="true">
                {letter}
              </span>
              {text}
            </li>
          ))}
        </ul>
      </div>
      {orphans > 0 && <p class="notice warn">{orphans} partitions have no owner now: their clients wait.</p>}
      <Scroll>
        <table class="grid" aria-label="Ownership">
          <thead>
            <tr>
              <th scope="col">Gateway</th>
              {partitions.map(({ number }) => (
                <th key={number} scope="col">
                  {number}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {gateways.map(name => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {partitions.map(({ number, cells }) => (
                  <GridCell key={number} cell={cells.get(name)} />
                ))}
              </tr>
            ))}
            {gateways.length === 0 && (
              <tr>
                <td class="soft">No gateway has been heard of yet.</td>
              </tr>
            )}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function GridCell({ cell }: { cell: Cell | undefined }) {
  if (cell === undefined) {
    return (
      <td>
        <span class="cell none" aria-hidden="true">
          ·
        </span>
      </td>
    );
  }
  const { letter, text } = marks[cell.isSilent ? 'SILENT' : cell.tenure];
  return (
    <td>
      <span class={`cell ${classOf(text)}`}>
        <span aria-hidden="true">{letter}</span>
        <span class="visually-hidden">{text}</span>
      </span>
    </td>
  );
}

function classOf(text: string): string {
  return text.replace(/[^a-z].*$/, '');
}
