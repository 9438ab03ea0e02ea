import type { Random } from '../../proof/random.ts';
import type { Stack } from '../../support/stack.ts';
import type { Traps } from '../traps.ts';

/** What a fault may touch. */
export interface World {
  stack: Stack;
  /** This fault's own, drawn from the run's seed: the same seed hurts in the same places. */
  random: Random;
  /** A line of the run's diary: which process, when, why. */
  log(line: string): void;
  /** Aborted when the run is cut short: heal at once, and resolve. */
  signal: AbortSignal;
  /** The run's own subscribers. */
  clients: ClientControl;
  /** Kills at a named place of the product's source. */
  traps: Traps;
}

export interface Stopped {
  /** Whose they are, each once. */
  users: readonly string[];
  /** They read again. */
  goOn(): void;
}

/** What a fault may do to the clients; all of them heal by themselves when they are told to go on. */
export interface ClientControl {
  /** Their user keys. */
  keys: readonly string[];
  /** How many of them a fault may take off. */
  idle: number;
  /** Stops reading the sockets of so many clients, drawn at random. */
  stopReading(random: Random, count: number): Stopped;
  /** Takes so many clients off; each comes back with its cursor when it is told to. */
  leave(random: Random, count: number): Promise<() => void>;
}

/**
 * One thing that goes wrong. It does the harm and heals it, and resolves when the system may be expected to be whole
 * again: {@link ../whole.ts} waits for that. It rejects when it could not do the harm, or when the system did not become whole
 * in time: both count against the run.
 *
 * A fault that destroys records (retention, a topic made anew) must do so on topics that it creates itself, with clients of its
 * own which it judges itself: the run's checker takes what is in its topics at the end for the truth.
 */
export interface Fault {
  /** kebab-case, as `--faults` takes it. */
  name: string;
  /** Why this machine can't do it, printed; undefined where it can. */
  unavailable?(): Promise<string | undefined> | string | undefined;
  inject(world: World): Promise<void>;
}
