import { setTimeout as sleep } from 'node:timers/promises';
import { type KeptProcess, keepProcess, type ProcessSpec } from '../processes/kept-process.ts';
import type { ProcessKind, Register } from '../processes/register.ts';
import { type Report, Trouble } from './trouble.ts';

/** Something to keep running: a server or a process of a service. */
export interface Work {
  name: string;
  kind: ProcessKind;
  stopSignal: NodeJS.Signals;
  spec(): Promise<ProcessSpec>;
  /** Returns once it is ready; throws, with the reason, while it is not. */
  probe(): Promise<void>;
  onStart?(pid: number): void;
  onGone?(pid: number): void;
}

export interface Supervision {
  register: Register;
  logFile(name: string): string;
  /** Names that must stay dead. */
  down(): ReadonlySet<string>;
  restartAfterMs: number;
  report: Report;
}

/** Keeps processes running, by name. */
export interface Supervisor {
  /** Starts it and waits until it is ready. @throws Trouble when it dies first or is not ready in time. */
  startFirst(work: Work, withinMs: number, signal: AbortSignal): Promise<void>;
  /** Starts it and goes on: it is started again whenever it dies. */
  start(work: Work): void;
  /** Ends it for good. */
  stop(name: string, graceMs: number): Promise<void>;
  names(): readonly string[];
  /** Starts those whose names have left the down file. To be called now and then. */
  look(): void;
}

export function openSupervisor(supervision: Supervision): Supervisor {
  const kept = new Map<string, KeptProcess>();

  function keep(work: Work, onDeath: (why: string) => void): KeptProcess {
    const process = keepProcess({
      name: work.name,
      kind: work.kind,
      stopSignal: work.stopSignal,
      logFile: supervision.logFile(work.name),
      register: supervision.register,
      restartAfterMs: supervision.restartAfterMs,
      spec: () => work.spec(),
      mayRun: () => !supervision.down().has(work.name),
      onStart: pid => work.onStart?.(pid),
      onGone: pid => work.onGone?.(pid),
      onDeath,
    });
    kept.set(work.name, process);
    process.start();
    return process;
  }

  const announce = (name: string) => (why: string) => {
    const next = supervision.down().has(name) ? 'it is down' : `starting it again in ${supervision.restartAfterMs} ms`;
    supervision.report(`${name} ${why}; ${next}`);
  };

  return {
    async startFirst(work, withinMs, signal) {
      if (supervision.down().has(work.name)) {
        supervision.report(`${work.name} is down`);
        keep(work, announce(work.name));
        return;
      }
      let starting = true;
      let death: string | undefined;
      keep(work, why => {
        if (starting) death = why;
        else announce(work.name)(why);
      });
      const deadline = Date.now() + withinMs;
      let reason = '';
      for (;;) {
        signal.throwIfAborted();
        if (death !== undefined) throw new Trouble(`${work.name} ${death}`);
        try {
          await work.probe();
          break;
        } catch (error) {
          reason = error instanceof Error ? error.message : String(error);
        }
        if (Date.now() > deadline)
          throw new Trouble(`${work.name} was not ready within ${withinMs / 1_000} s: ${reason}`);
        await sleep(100, undefined, { signal });
      }
      starting = false;
    },
    start(work) {
      keep(work, announce(work.name));
    },
    async stop(name, graceMs) {
      await kept.get(name)?.stop(graceMs);
      kept.delete(name);
    },
    names: () => [...kept.keys()],
    look() {
      for (const process of kept.values()) process.start();
    },
  };
}
