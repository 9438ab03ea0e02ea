import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

/** How long a stack may take to become whole after a fault, ms. On a busy machine a Java broker takes long to start. */
const wholeWithinMs = 90_000;

/** Waits, but not beyond the end of the run. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** The names of a service's processes, oldest first. */
export function namesOf(stack: Stack, service: string): string[] {
  return stack
    .processes()
    .filter(process => process.service === service)
    .map(({ name }) => name);
}

/** Waits until a process runs under another pid and is ready. */
export async function backUp(stack: Stack, name: string, oldPid: number, signal?: AbortSignal): Promise<void> {
  await until(
    `${name} to be back`,
    async () => {
      if (signal?.aborted) return true;
      const found = stack.processes().find(process => process.name === name);
      return found !== undefined && found.pid !== oldPid && (await reasonOf(found.admin)) === undefined;
    },
    wholeWithinMs,
  );
}

/** Why it is not ready; undefined when it is. */
async function reasonOf(admin: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(2_000) });
    return response.ok ? undefined : (await response.text()).slice(0, 300);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
