import type { Tenure } from './types.ts';

/** What can happen to a partition at a gateway. */
export type TenureEvent =
  /** The group's assignment gives (or leaves) the partition to this gateway. */
  | { event: 'assigned'; generation: number }
  /** The claim is written, or cannot be written for want of Redis: then the generation alone counts. */
  | { event: 'claimed'; epoch: number }
  /** The group's assignment gives it to somebody else, or this gateway leaves. */
  | { event: 'unassigned'; untilMs: number }
  /** The claim of who owns it next is visible to routers. */
  | { event: 'succeeded' }
  /** The session with the group is over. */
  | { event: 'lost' }
  /** The last client has gone, or its time is over. */
  | { event: 'window-ended' };

/** What has to be done because of it, in this order. The keeper (keeper.ts) knows how. */
export type TenureEffect = 'claim' | 'open-window' | 'close-window' | 'release';

export class TenureError extends Error {
  constructor(state: Tenure['state'], event: TenureEvent['event']) {
    super(`a partition that is ${state} cannot be ${event}`);
    this.name = 'TenureError';
  }
}

const foreign: Tenure = { state: 'foreign' };
const handingOver = (epoch: number, untilMs: number): Tenure => ({
  state: 'handing-over',
  epoch,
  untilMs,
  succeeded: false,
});

/**
 * The only way from one tenure to another. Source: docs/design/ownership.md, figure "Tenure".
 * @throws TenureError for a pair that the figure does not have.
 */
export function transition(tenure: Tenure, event: TenureEvent): readonly [Tenure, readonly TenureEffect[]] {
  switch (tenure.state) {
    case 'foreign':
      if (event.event === 'assigned') {
        return [{ state: 'claiming', generation: event.generation, epoch: undefined }, ['claim']];
      }
      break;
    case 'claiming':
      switch (event.event) {
        case 'assigned':
          return [{ ...tenure, generation: event.generation }, ['claim']];
        case 'claimed':
          return [{ state: 'owned', epoch: event.epoch, generation: tenure.generation }, []];
        case 'unassigned':
          if (tenure.epoch === undefined) return [foreign, ['release']];
          return [handingOver(tenure.epoch, event.untilMs), ['open-window']];
        case 'lost':
          return [foreign, []];
      }
      break;
    case 'owned':
      switch (event.event) {
        case 'assigned':
          return [{ ...tenure, generation: event.generation }, []];
        case 'claimed':
          return [{ ...tenure, epoch: event.epoch }, []];
        case 'unassigned':
          return [handingOver(tenure.epoch, event.untilMs), ['open-window']];
        case 'lost':
          return [foreign, []];
      }
      break;
    case 'handing-over':
      switch (event.event) {
        case 'assigned':
          return [{ state: 'claiming', generation: event.generation, epoch: tenure.epoch }, ['close-window', 'claim']];
        case 'succeeded':
          return [{ ...tenure, succeeded: true }, []];
        case 'window-ended':
          return [foreign, ['close-window', 'release']];
        case 'lost':
          return [foreign, ['close-window']];
      }
      break;
  }
  throw new TenureError(tenure.state, event.event);
}
