import { KafkaUnavailableError } from './errors.ts';

/**
 * Runs a function when there may be something to do: once after a synchronous burst of calls, or at a time. The earliest
 * time asked for counts; whoever needs a later one asks again when it runs.
 */
export class Pulse {
  readonly #run: () => void;
  #soon = false;
  #timer: { at: number; handle: NodeJS.Timeout } | undefined;
  #stopped = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  soon(): void {
    if (this.#soon || this.#stopped) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      if (!this.#stopped) this.#run();
    });
  }

  /** `time`: ms of the process's own clock (`performance.now()`): nobody sets that back. */
  at(time: number): void {
    if (this.#stopped || (this.#timer !== undefined && this.#timer.at <= time)) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.max(1, time - performance.now()),
    );
    this.#timer = { at: time, handle };
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer?.handle);
  }
}

/** Exponential, with jitter: between half of it and all of it. `failures` counts from 0. */
export function backOffMs(failures: number, firstMs: number, mostMs: number): number {
  const most = Math.min(mostMs, firstMs * 2 ** Math.min(20, failures));
  return most * (0.5 + Math.random() / 2);
}

/** The promise's value. @throws KafkaUnavailableError when it takes longer than `ms`; `who` says whose it was. */
export async function inTime<T>(promise: Promise<T>, ms: number, who: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new KafkaUnavailableError(`${who} does not answer for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
