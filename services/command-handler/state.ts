import type { Registry } from 'prom-client';
import { lagOver, type Readings, rounded } from '../../lib/fleet/index.ts';
import { lagsOf } from '../../lib/kafka/index.ts';

/** Most pairs of type and verdict that a command handler tells of. */
const mostVerdicts = 50;

/** Returns what a command handler tells of itself. */
export function commandHandlerState(registry: Registry): (readings: Readings) => Promise<object> {
  return async readings => {
    const lags = lagsOf(registry);
    const verdicts = (await readings.series('penstock_commands_total')).slice(0, mostVerdicts);
    const [outboxRecords, outboxSeconds, unacknowledged] = await Promise.all(
      ['penstock_outbox_records', 'penstock_outbox_oldest_seconds', 'penstock_outbox_unacknowledged_records'].map(
        name => readings.sum(name),
      ),
    );
    return {
      commandHandler: {
        partitions: new Set(lags.map(({ partition }) => partition)).size,
        commandsPerSecond: rounded(await readings.rate('penstock_commands_total')),
        verdicts: verdicts.map(({ labels, value }) => {
          return { type: String(labels.type), verdict: String(labels.verdict), count: value };
        }),
        ...{ outboxRecords, outboxSeconds: rounded(outboxSeconds), unacknowledged },
        ...lagOver(lags),
      },
    };
  };
}
