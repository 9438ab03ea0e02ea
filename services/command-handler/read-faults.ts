import type { ReadFault, TopicPartition } from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';

/** Tells in readiness which command partitions can't be read, and where they stand. */
export interface ReadFaults {
  /** @param error says what cannot be read, and what an operator can do. */
  note(fault: ReadFault, at: TopicPartition & { offset: number }, error?: Error): void;
  /** These partitions are the handler's; what was said of others is somebody else's now. */
  keepOnly(partitions: readonly number[]): void;
}

/**
 * @param recoveredMs a partition that had no fault for so long is read again, ms. Longer than it takes to claim it again and
 * to meet the same fault.
 */
export function openReadFaults({ readiness }: Pick<Ops, 'readiness'>, recoveredMs: number): ReadFaults {
  const faults = new Map<string, { partition: number; reason: string; timer: NodeJS.Timeout }>();
  const tell = (): void => {
    const [first] = faults.values();
    const others = faults.size > 1 ? ` (and ${faults.size - 1} more)` : '';
    readiness.set('reading', first && `${first.reason}${others}`);
  };
  const forget = (name: string): void => {
    clearTimeout(faults.get(name)?.timer);
    if (faults.delete(name)) tell();
  };

  return {
    note(fault, { topic, partition, offset }, error) {
      const name = `${topic}/${partition}`;
      clearTimeout(faults.get(name)?.timer);
      const timer = setTimeout(() => forget(name), recoveredMs).unref();
      const reason = error?.message ?? `${name} can't be read at offset ${offset}: ${fault}`;
      faults.set(name, { partition, reason, timer });
      tell();
    },
    keepOnly(partitions) {
      const ours = new Set(partitions);
      for (const [name, { partition }] of [...faults]) if (!ours.has(partition)) forget(name);
    },
  };
}
