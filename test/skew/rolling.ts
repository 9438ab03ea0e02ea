import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Release } from '../../dev/stack/folder.ts';
import { root } from '../../dev/stack/options.ts';
import type { Injected, Ordeal } from '../chaos/chaos.ts';
import { backUp, pause, whole } from '../chaos/whole.ts';
import { seeded } from '../proof/random.ts';
import type { Stack } from '../support/stack.ts';

/** One step of a rolling upgrade: processes that are replaced at the same time, by name. */
export interface Step {
  name: string;
  replaced: readonly string[];
  /** What they run then; undefined: this release. */
  to: Release | undefined;
}

export interface RollingOptions {
  stack: Stack;
  /** What all processes run before the first step. */
  from: Release | undefined;
  steps: readonly Step[];
  seed: number;
  /** Told when a step is done. */
  onDone(step: Step, resumed: Resumed): void;
}

/** Load between two steps, with what is old and what is new as it is then, ms. */
const betweenStepsMs = 2_000;

/** Streams that gateways have gone on with behind a cursor, by where the records came from, as their metrics say. */
export type Resumed = Readonly<Record<'memory' | 'redis' | 'kafka', number>>;

/**
 * Takes a stack from step to step. Before each step some clients leave, and come back when it is done: with cursors of the
 * release that was there before. Processes of the services are replaced together, those of one service one after the other.
 */
export function rolling({ stack, from, steps, seed, onDone }: RollingOptions): Ordeal {
  return async ({ clients, owners, diary }) => {
    const random = seeded(seed);
    const spans: Injected[] = [];
    const wanted: Record<string, number> = {};
    for (const { service, name } of stack.processes()) {
      wanted[service] = (wanted[service] ?? 0) + 1;
      confirmRelease(stack, name, from);
    }
    for (const step of steps) {
      const { name, replaced, to } = step;
      const fromMs = diary.now();
      diary.note('run', `${name}: ${replaced.join(', ')}`);
      let failure: string | undefined;
      const comeBack = await clients.leave(random, clients.idle / 4);
      try {
        await Promise.all(perService(replaced).map(names => replaceInTurn(stack, names, to)));
        comeBack();
        await whole(stack, wanted);
        await pause(betweenStepsMs);
        onDone(step, await resumedAt(stack));
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
        diary.note('run', `${name} FAILED: ${failure}`);
      }
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
    confirmRelease(stack, name, to);
  }
}

function confirmRelease(stack: Stack, name: string, release: Release | undefined): void {
  const folder = release?.folder ?? root;
  if (!commandOf(stack.process(name).pid).includes(join(folder, 'services/'))) {
    throw new Error(`${name} does not run the code of ${folder}`);
  }
}

function commandOf(pid: number): string {
  if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
}

async function resumedAt(stack: Stack): Promise<Resumed> {
  const sums = { memory: 0, redis: 0, kafka: 0 };
  for (const { service, admin } of stack.processes()) {
    if (service !== 'gateway') continue;
    const text = await (await fetch(`${admin}/metrics`)).text();
    for (const tier of ['memory', 'redis', 'kafka'] as const) {
      sums[tier] += Number(
        new RegExp(`^penstock_replay_resumed_total\\{tier="${tier}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0,
      );
    }
  }
  return sums;
}

function perService(names: readonly string[]): string[][] {
  const services = new Map<string, string[]>();
  for (const name of names) {
    const service = name.replace(/-\d+$/, '');
    services.set(service, [...(services.get(service) ?? []), name]);
  }
  return [...services.values()];
}
