import type { State } from '@penstock/client';

/** The last time for which the page was cut off. */
export interface Outage {
  readonly sinceMs: number;
  /** Undefined while it lasts. */
  readonly untilMs: number | undefined;
  readonly reason: string | undefined;
  /** Events that were made meanwhile, and have been delivered since. */
  readonly caughtUp: number;
  /** The log did not have everything any more; the page has read its state anew. */
  readonly hasGap: boolean;
}

export interface History {
  /** Before the first time it was live, the page is only loading. */
  readonly hasBeenLive: boolean;
  readonly outage: Outage | undefined;
}

export const noHistory: History = { hasBeenLive: false, outage: undefined };

/** Returns the history after the client has told a new state. */
export function afterState(history: History, { status, reason }: State, nowMs: number): History {
  const { hasBeenLive, outage } = history;
  const isOpen = outage !== undefined && outage.untilMs === undefined;
  if (status === 'live') {
    return { hasBeenLive: true, outage: isOpen ? { ...outage, untilMs: nowMs } : outage };
  }
  const isCutOff = status === 'connecting' || status === 'offline';
  if (!isCutOff || !hasBeenLive) return history;
  if (isOpen) return { hasBeenLive, outage: { ...outage, reason: reason ?? outage.reason } };
  return { hasBeenLive, outage: { sinceMs: nowMs, untilMs: undefined, reason, caughtUp: 0, hasGap: false } };
}

/** Returns the history after an event that was made before the page came back. */
export function afterReplayed(history: History): History {
  const { outage } = history;
  return outage === undefined ? history : { ...history, outage: { ...outage, caughtUp: outage.caughtUp + 1 } };
}

export function afterGap(history: History): History {
  const { outage } = history;
  return outage === undefined ? history : { ...history, outage: { ...outage, hasGap: true } };
}
