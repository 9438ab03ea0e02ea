import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

/** How many processes of each service there have to be; those of the stack as it was started, by default. */
export type Wanted = Readonly<Record<string, number>>;

/** How long a stack may take to become whole after a fault, ms. On a busy machine a Java broker takes long to start. */
const wholeWithinMs = 90_000;
/** Whoever asks a process that is starting whether it is ready takes from what it needs to become so. */
const lookEveryMs = 200;

/** Resolves when every process of every service is up and ready, and every partition has exactly one gateway. */
export async function whole(stack: Stack, wanted: Wanted, signal?: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + wholeWithinMs;
  for (;;) {
    const missing = await missingFrom(stack, wanted);
    if (missing === undefined || signal?.aborted) return;
    if (performance.now() > deadlineMs) throw new Error(`not whole within ${wholeWithinMs / 1_000} s: ${missing}`);
    await sleep(lookEveryMs);
  }
}

/** Waits, but not beyond the end of the run. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => undefined);
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
    lookEveryMs,
  );
}

async function missingFrom(stack: Stack, wanted: Wanted): Promise<string | undefined> {
  const processes = stack.processes();
  for (const [service, count] of Object.entries(wanted)) {
    const present = processes.filter(process => process.service === service).length;
    if (present !== count) return `${present} of ${count} ${service}`;
  }
  const answers = await Promise.all(
    processes.map(async ({ name, admin }) => ({ name, reason: await reasonOf(admin) })),
  );
  const unready = answers.filter(({ reason }) => reason !== undefined);
  if (unready.length > 0) return unready.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  const owned = await Promise.all(
    processes.filter(({ service }) => service === 'gateway').map(({ admin }) => ownedBy(admin)),
  );
  const sum = owned.reduce((total, count) => total + count, 0);
  return sum === stack.partitions ? undefined : `gateways own ${sum} of ${stack.partitions} partitions`;
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

/** Partitions that a gateway owns, as its metric says; 0 while it does not answer. */
export async function ownedBy(admin: string): Promise<number> {
  try {
    const response = await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(2_000) });
    return Number(/^penstock_gateway_partitions_owned (\d+)/m.exec(await response.text())?.[1] ?? 0);
  } catch {
    return 0;
  }
}
