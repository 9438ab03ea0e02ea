import type { ReadonlySignal } from '@preact/signals';
import type { FleetView } from '../fleet/types.ts';
import { count, rate, seconds } from '../format.ts';

/** The state of the whole, in one line of numbers. */
export function Summary({ view }: { view: ReadonlySignal<FleetView> }) {
  const { totals } = view.value;
  const isWhole = totals.partitions > 0 && totals.owned === totals.partitions;
  return (
    <section aria-label="Summary">
      <dl class="tiles">
        <Tile name="Gateways ready" tone={toneOf(totals.gateways > 0 && totals.readyGateways === totals.gateways)}>
          {totals.readyGateways} <small>of {totals.gateways}</small>
        </Tile>
        <Tile name="Partitions owned" tone={toneOf(isWhole)}>
          {totals.owned} <small>of {totals.partitions}</small>
        </Tile>
        <Tile name="Connections">{count(totals.sessions)}</Tile>
        <Tile name="Deliveries a second">{rate(totals.deliveredPerSecond)}</Tile>
        <Tile name="Commands a second">{rate(totals.commandsPerSecond)}</Tile>
        <Tile name="Lag" tone={totals.lagRecords === null ? 'warn' : ''}>
          {count(totals.lagRecords)} <small>records, {seconds(totals.lagSeconds)}</small>
        </Tile>
      </dl>
    </section>
  );
}

function Tile({ name, tone = '', children }: { name: string; tone?: string; children: preact.ComponentChildren }) {
  return (
    <div class={`tile ${tone}`}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function toneOf(isWell: boolean): string {
  return isWell ? 'good' : 'warn';
}
