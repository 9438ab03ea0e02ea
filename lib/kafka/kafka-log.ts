import kafkajs, { type LogEntry } from 'kafkajs';
import type { Logger } from '../ops/index.ts';

/** The same line of kafkajs is logged once in this time; what was left out is counted in the next one. */
const quietMs = 5_000;
/** Most different lines remembered. */
const maxLines = 256;

/**
 * kafkajs's log lines as ours. While a broker is away it writes an error per attempt: our callers report what matters,
 * so its errors are warnings here, and a repeated line is held back.
 */
export function kafkajsLogCreator(log: Logger, now: () => number = Date.now): () => (entry: LogEntry) => void {
  const lines = new Map<string, { until: number; held: number }>();
  return () => entry => {
    const { namespace, level, log: content } = entry;
    const key = `${namespace} ${content.message}`;
    const at = now();
    const line = lines.get(key);
    if (line !== undefined && at < line.until) {
      line.held++;
      return;
    }
    lines.delete(key);
    if (lines.size >= maxLines) lines.clear();
    lines.set(key, { until: at + quietMs, held: 0 });
    const fields = { kafkajs: namespace, broker: content.broker, error: content.error, repeated: line?.held };
    // An answer with an error code is somebody's to handle, and most are everyday: a rebalance, a moved leader.
    const everyday = content.message.startsWith('Response ');
    if (level <= kafkajs.logLevel.WARN && !everyday)
      log.warn({ event: 'kafka_client_warning', ...fields }, content.message);
    else log.debug({ event: 'kafka_client_line', ...fields }, content.message);
  };
}
