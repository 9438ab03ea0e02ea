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

/**
 * Of the routers and gateways that are up, the broker and the load generator. Asking begins a new period for the delays
 * of the event loops.
 */
export async function vitalsOf(stack: Stack): Promise<Vitals[]> {
  const services = stack.processes().filter(({ service }) => service === 'router' || service === 'gateway');
  const broker = stack.pid('kafka-1');
  return Promise.all([
    ...services.map(async ({ name, pid, admin }) => {
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      const metric = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)?.[1]);
      const loopMaxMs = metric('nodejs_eventloop_lag_max_seconds') * 1_000;
      return vitals(name, pid, loopMaxMs, metric('nodejs_eventloop_lag_p99_seconds') * 1_000);
    }),
    ...(broker === undefined ? [] : [vitals('kafka-1', broker)]),
    vitals('load generator', process.pid),
  ]);
}

function vitals(name: string, pid: number, loopMaxMs = Number.NaN, loopP99Ms = Number.NaN): Vitals {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(status)?.[1]);
  const memory = { rssMb: kilobytes('VmRSS') / 1_024, peakMb: kilobytes('VmHWM') / 1_024 };
  return { name, cpuSeconds: cpuSecondsOf(pid), ...memory, loopMaxMs, loopP99Ms };
}

/** User and system time of all its threads. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
