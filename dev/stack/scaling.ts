/** Changes how many processes a running stack has, for tools that need some of them out of the way for a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import { replaceJson } from './files.ts';
import { filesOf } from './folder.ts';
import { type Scale, services } from './options.ts';
import { readStackFile, type StackFile } from './stack-file.ts';
import { Trouble } from './trouble.ts';

const scaleWithinMs = 120_000;
const lookMs = 100;

/** Returns how many processes of each service the stack is meant to have, going by those that are up. */
export function countsOf({ processes }: StackFile): Scale {
  const counts: Scale = {};
  for (const service of services) {
    const numbers = processes.filter(one => one.service === service).map(({ name }) => Number(name.split('-').at(-1)));
    counts[service] = numbers.reduce((most, number) => Math.max(most, number), -1) + 1;
  }
  return counts;
}

/** Resolves when there are so many, and all of them are ready. */
export async function scale(folder: string, wanted: Scale, signal: AbortSignal): Promise<void> {
  const files = filesOf(folder);
  replaceJson(files.scale, wanted);
  const deadline = Date.now() + scaleWithinMs;
  for (;;) {
    const stack = readStackFile(files.stack);
    if (stack === undefined) throw new Trouble('the stack has stopped meanwhile');
    const up = countsOf(stack);
    const isSo = services.every(service => wanted[service] === undefined || up[service] === wanted[service]);
    if (isSo && (await areReady(stack))) return;
    if (Date.now() > deadline) throw new Trouble(`not ${JSON.stringify(wanted)} within ${scaleWithinMs / 1_000} s`);
    await sleep(lookMs, undefined, { signal });
  }
}

/** Those that are up; routers are not ready without gateways, and are asked only when these are there. */
async function areReady({ processes }: StackFile): Promise<boolean> {
  if (!processes.some(({ service }) => service === 'gateway')) return true;
  const answers = await Promise.all(
    processes.map(({ admin }) =>
      fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined),
    ),
  );
  return answers.every(answer => answer?.ok);
}
