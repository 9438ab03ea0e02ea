/** One gateway's tenures: carries out what the transition function asks for, and tells who listens. */
import type { Logger } from '../ops/index.ts';
import type { Clock } from './clock.ts';
import { type TenureEffect, type TenureEvent, transition } from './tenure.ts';
import type { Tenure } from './types.ts';

export interface TenureKeeperParts {
  /** Default: {@link transition}. */
  transition?: typeof transition;
  clock: Clock;
  log: Logger;
  claim(partition: number, generation: number): void;
  release(partition: number): void;
}

export type TransitionListener = (partition: number, tenure: Tenure, event: TenureEvent) => void;

export interface TenureKeeper {
  tenure(partition: number): Tenure;
  /** Partitions in this state. */
  in(state: Tenure['state']): number[];
  apply(partition: number, event: TenureEvent): void;
  onTransition(listener: TransitionListener): void;
  close(): void;
}

const foreign: Tenure = { state: 'foreign' };

export function openTenureKeeper(parts: TenureKeeperParts): TenureKeeper {
  const tenures = new Map<number, Tenure>();
  const windows = new Map<number, () => void>();
  const listeners: TransitionListener[] = [];
  return {
    tenure: partition => tenures.get(partition) ?? foreign,
    in: state => [...tenures].filter(([, tenure]) => tenure.state === state).map(([partition]) => partition),
    apply,
    onTransition: listener => listeners.push(listener),
    close() {
      for (const cancel of windows.values()) cancel();
      windows.clear();
    },
  };

  function apply(partition: number, event: TenureEvent): void {
    const before = tenures.get(partition) ?? foreign;
    const [after, effects] = (parts.transition ?? transition)(before, event);
    tenures.set(partition, after);
    parts.log.debug(
      { event: 'tenure_changed', partition, from: before.state, to: after.state, cause: event.event },
      "a partition's tenure has changed",
    );
    for (const effect of effects) carryOut(partition, after, effect);
    for (const listener of listeners) {
      try {
        listener(partition, after, event);
      } catch (error) {
        parts.log.error({ event: 'tenure_listener_failed', error, partition }, 'a listener for tenures failed');
      }
    }
  }

  function carryOut(partition: number, tenure: Tenure, effect: TenureEffect): void {
    switch (effect) {
      case 'claim':
        if (tenure.state === 'claiming') parts.claim(partition, tenure.generation);
        return;
      case 'release':
        parts.release(partition);
        return;
      case 'open-window':
        if (tenure.state !== 'handing-over') return;
        windows.set(
          partition,
          parts.clock.after(Math.max(0, tenure.untilMs - parts.clock.nowMs()), () =>
            apply(partition, { event: 'window-ended' }),
          ),
        );
        return;
      case 'close-window':
        windows.get(partition)?.();
        windows.delete(partition);
        return;
    }
  }
}
