import type { Registry } from 'prom-client';
import { lagOver, lagsBy, type Readings, rounded } from '../../lib/fleet/index.ts';
import { lagsOf } from '../../lib/kafka/index.ts';

/** Most topics that a projector tells of one by one. */
const mostTopics = 100;

/** Returns what a projector tells of itself. */
export function projectorState(registry: Registry): (readings: Readings) => Promise<object> {
  return async readings => {
    const lags = lagsOf(registry);
    const topics = [...lagsBy(lags, ({ topic }) => topic)].slice(0, mostTopics);
    return {
      projector: {
        recordsPerSecond: rounded(await readings.rate('penstock_projector_records_total')),
        ...lagOver(lags),
        topics: topics.map(([topic, lag]) => ({ topic, ...lag })),
      },
    };
  };
}
