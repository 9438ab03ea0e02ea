import { setTimeout as sleep } from 'node:timers/promises';
import type { Owner, OwnerTable } from '../../../lib/ownership/types.ts';

/** Gateways that can none of them be reached are asked in turn, no more often than this, ms. */
const pauseMs = 50;

/**
 * The table as it looks to what any gateway serves: whoever owns the partition, and where that is nobody, or one that has just been found
 * wrong or dead, whoever owns another one.
 */
export function anyOwner(owners: OwnerTable): OwnerTable {
  function other(partition: number, not: Owner | undefined): Owner | undefined {
    const count = owners.partitionCount();
    for (let step = 0; step < count; step++) {
      const owner = owners.owner((partition + step) % count);
      if (owner !== undefined && owner.address !== not?.address) return owner;
    }
    return undefined;
  }
  return {
    ...owners,
    owner: partition => other(partition, undefined),
    async waitForOwner(partition, timeoutMs, not) {
      if (not !== undefined) await sleep(Math.min(pauseMs, timeoutMs));
      return other(partition, not) ?? owners.waitForOwner(partition % owners.partitionCount(), timeoutMs, not);
    },
  };
}
