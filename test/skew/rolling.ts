import type { Release } from '../../dev/stack/folder.ts';
import type { Injected, Ordeal } from '../chaos/chaos.ts';
import { backUp, pause, whole } from '../chaos/whole.ts';
import { seeded } from '../proof/random.ts';
import type { Stack } from '../support/stack.ts';

/** One step of a rolling upgrade: processes that are replaced at the same time, by name. */
export interface Step {
  name: string;
  /** That get the other release; one that is not there yet is added to the others. */
  replaced: readonly string[];
  to: Release | undefined;
}

export interface RollingOptions {
  stack: Stack;
  steps: readonly Step[];
  seed: number;
}

/** Load between two steps, with what is old and what is new as it is then, ms. */
const betweenStepsMs = 2_000;

/**
 * Takes a stack from step to step. Before each step some clients leave, and come back when it is done: with cursors of the
 * release that was there before. Processes of the services are replaced together, those of one service one after the other.
 */
export function rolling({ stack, steps, seed }: RollingOptions): Ordeal {
  return async ({ clients, owners, diary }) => {
    const random = seeded(seed);
    const spans: Injected[] = [];
    const wanted: Record<string, number> = {};
    for (const { service } of stack.processes()) wanted[service] = (wanted[service] ?? 0) + 1;
    for (const { name, replaced, to } of steps) {
      const fromMs = diary.now();
      diary.note('run', `${name}: ${replaced.join(', ')}`);
      let failure: string | undefined;
      const comeBack = await clients.leave(random, clients.idle / 4);
      try {
        await Promise.all(perService(replaced).map(names => replaceInTurn(stack, names, to)));
        comeBack();
        await whole(stack, wanted);
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
        diary.note('run', `${name} FAILED: ${failure}`);
      }
      await pause(betweenStepsMs);
      const toMs = diary.now();
      diary.note('run', `${name}: done after ${((toMs - fromMs) / 1_000).toFixed(1)} s`);
      const moved = owners.movedBetween(fromMs, toMs);
      spans.push({ fault: name, fromMs, toMs, moved, ...(failure !== undefined && { failure }) });
    }
    return spans;
  };
}

async function replaceInTurn(stack: Stack, names: readonly string[], to: Release | undefined): Promise<void> {
  for (const name of names) {
    stack.setRelease(name, to);
    await backUp(stack, name, stack.kill(name, 'SIGTERM'));
  }
}

function perService(names: readonly string[]): string[][] {
  const services = new Map<string, string[]>();
  for (const name of names) {
    const service = name.replace(/-\d+$/, '');
    services.set(service, [...(services.get(service) ?? []), name]);
  }
  return [...services.values()];
}
