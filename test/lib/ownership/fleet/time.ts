import type { Clock } from '../../../../lib/ownership/clock.ts';

/** Time that stands still until a test moves it, and what is on its way meanwhile. */
export class Time implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; run: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  /** Runs what is due, in order. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let next: { atMs: number; run: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
      }
      if (next === undefined) break;
      this.#timers = this.#timers.filter(other => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = untilMs;
  }
}

/** Messages on their way: in order on each wire, in any order between wires. */
export class Wires {
  readonly #wires = new Map<string, (() => void)[]>();

  send(wire: string, deliver: () => void): void {
    const queue = this.#wires.get(wire);
    if (queue === undefined) this.#wires.set(wire, [deliver]);
    else queue.push(deliver);
  }

  /** Delivers the first message of one of the wires, and tells of which; `blocked` ones deliver nothing now. */
  deliver(which: number, blocked: (wire: string) => boolean): string | undefined {
    const ready = [...this.#wires.keys()].filter(wire => !blocked(wire));
    const wire = ready[which % Math.max(1, ready.length)];
    if (wire !== undefined) this.#take(wire)?.();
    return wire;
  }

  /** The first message of one of these wires never arrives. */
  lose(which: number, prefix: string): void {
    const ready = [...this.#wires.keys()].filter(wire => wire.startsWith(prefix));
    const wire = ready[which % Math.max(1, ready.length)];
    if (wire !== undefined) this.#take(wire);
  }

  /** Whoever was at the end of these is gone. */
  cut(matches: (wire: string) => boolean): void {
    for (const wire of [...this.#wires.keys()]) if (matches(wire)) this.#wires.delete(wire);
  }

  #take(wire: string): (() => void) | undefined {
    const queue = this.#wires.get(wire);
    const first = queue?.shift();
    if (queue?.length === 0) this.#wires.delete(wire);
    return first;
  }
}
