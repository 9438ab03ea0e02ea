import type { Clock } from '../../lib/ownership/clock.ts';
import type { Ownership, Tenure } from '../../lib/ownership/types.ts';
import type { Client, Clients } from './clients.ts';

export interface HandoverOptions {
  ownership: Pick<Ownership, 'tenure' | 'onTransition' | 'released'>;
  clients: Clients;
  /** The partition is not served from memory any more. */
  cool(partition: number): void;
  clock: Clock;
}

/**
 * What a loss of a partition means to its clients. One that is handed over sees them off when its successor can be found
 * (where nobody can tell, in the second half of the window), spread over what is left of the window; one that was lost
 * sees them off at once.
 */
export function followOwnership({ ownership, clients, cool, clock }: HandoverOptions): void {
  ownership.onTransition((partition, tenure, { event }) => {
    if (tenure.state === 'handing-over') {
      seeOff(partition, tenure);
      // Not inside the transition that brought us here.
      if (clients.count(partition) === 0) clock.after(0, () => release(partition));
    }
    if (tenure.state !== 'foreign') return;
    cool(partition);
    if (event === 'lost') clients.moveOn(partition, 0, () => isLeaving(partition));
    // What came in the last moment of the window.
    else if (event === 'window-ended') clients.moveOn(partition, 0, () => isLeaving(partition), routedOnly);
  });
  clients.onEmptied(release);
  // It may have been let in just before its partition left.
  clients.onJoined(({ partition, routed }) => {
    const tenure = ownership.tenure(partition);
    if (tenure.state === 'handing-over' && tenure.succeeded) seeOff(partition, tenure);
    else if (routed && tenure.state === 'foreign') clients.moveOn(partition, 0, () => isLeaving(partition), routedOnly);
  });

  function seeOff(partition: number, { untilMs, succeeded, epoch }: Tenure & { state: 'handing-over' }): void {
    const leftMs = Math.max(0, untilMs - clock.nowMs());
    if (succeeded) {
      clients.moveOn(partition, leftMs, () => isLeaving(partition));
      return;
    }
    clock.after(leftMs / 2, () => {
      const now = ownership.tenure(partition);
      if (now.state !== 'handing-over' || now.succeeded || now.epoch !== epoch || now.untilMs !== untilMs) return;
      clients.moveOn(partition, leftMs / 2, () => isLeaving(partition));
    });
  }

  function release(partition: number): void {
    if (ownership.tenure(partition).state === 'handing-over' && clients.count(partition) === 0) {
      ownership.released(partition);
    }
  }

  function isLeaving(partition: number): boolean {
    const { state } = ownership.tenure(partition);
    return state === 'handing-over' || state === 'foreign';
  }
}

const routedOnly = ({ routed }: Client): boolean => routed;
