import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, PenstockError } from '../../lib/errors.ts';
import type { Ops } from '../../lib/ops/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';

const retryMs = 500;

/**
 * An owner table that may take its time: it is opened as soon as that is possible, and until then nobody owns anything.
 * Readiness `owners` says what is missing.
 * @param open rejects while Kafka is away; tried again until it resolves.
 */
export function lateOwnerTable(open: () => Promise<OwnerTable>, ops: Pick<Ops, 'log' | 'readiness'>): OwnerTable {
  const late: { table?: OwnerTable } = {};
  const opened = (): OwnerTable | undefined => late.table;
  const deathListeners: ((address: string) => void)[] = [];
  const stopping = new AbortController();
  ops.readiness.set('owners', 'the owner table is not open yet');
  const opening = (async (): Promise<void> => {
    let lastReason: string | undefined;
    while (!stopping.signal.aborted) {
      try {
        const table = await open();
        late.table = table;
        table.onDead(address => {
          for (const listener of deathListeners) listener(address);
        });
        ops.readiness.set('owners', undefined);
        ops.log.info({ event: 'owner_table_opened', partitions: table.partitionCount() }, 'owner table open');
        return;
      } catch (error) {
        const reason = messageOf(error);
        if (reason !== lastReason)
          ops.log.warn({ event: 'owner_table_unavailable', reason }, 'the owner table cannot be opened yet');
        lastReason = reason;
        ops.readiness.set('owners', reason);
      }
      await sleep(retryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();

  return {
    partitionCount() {
      if (late.table === undefined) throw new PenstockError('UNAVAILABLE', 'the partition count is not known yet');
      return late.table.partitionCount();
    },
    owner: partition => late.table?.owner(partition),
    async waitForOwner(partition, timeoutMs, not) {
      if (late.table !== undefined) return late.table.waitForOwner(partition, timeoutMs, not);
      const startedMs = performance.now();
      const waited = new AbortController();
      await Promise.race([opening, sleep(timeoutMs, undefined, { signal: waited.signal }).catch(() => undefined)]);
      waited.abort();
      return opened()?.waitForOwner(partition, Math.max(0, timeoutMs - (performance.now() - startedMs)), not);
    },
    onDead: listener => void deathListeners.push(listener),
    async close() {
      stopping.abort();
      await opening;
      await late.table?.close();
    },
  };
}
