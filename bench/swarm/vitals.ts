import { readFileSync } from 'node:fs';
import type { Stack } from '../../test/support/stack.ts';

/** What a service's process has used. */
export interface Vitals {
  name: string;
  cpuSeconds: number;
  rssMb: number;
  /** Highest since it began. */
  peakMb: number;
  /** Longest and 99th percentile delay of its event loop since it was asked last, ms. */
  loopMaxMs: number;
  loopP99Ms: number;
}

const ticksPerSecond = 100;

/** Of the routers and gateways that are up; asking begins a new period for the delays of the event loops. */
export async function vitalsOf(stack: Stack): Promise<Vitals[]> {
  const processes = stack.processes().filter(({ service }) => service === 'router' || service === 'gateway');
  return Promise.all(
    processes.map(async ({ name, pid, admin }) => {
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      const metric = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)?.[1]);
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(status)?.[1]);
      return {
        name,
        cpuSeconds: cpuSecondsOf(pid),
        rssMb: kilobytes('VmRSS') / 1_024,
        peakMb: kilobytes('VmHWM') / 1_024,
        loopMaxMs: metric('nodejs_eventloop_lag_max_seconds') * 1_000,
        loopP99Ms: metric('nodejs_eventloop_lag_p99_seconds') * 1_000,
      };
    }),
  );
}

/** User and system time of all its threads. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
