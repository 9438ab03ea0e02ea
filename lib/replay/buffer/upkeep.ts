/**
 * What the owner of a partition does to keep its buffer in step with the log, and what it makes of each answer. No clock,
 * no socket, no `await`: the writer (writer.ts) carries out the task and tells what came of it.
 *
 * ```
 *              OK, no window            opened
 *  unclaimed ───────────────► windowless ─────► open ◄─┐ appended, caught up
 *   ▲  │  ▲ └─ OK, window ─► claimed ──┬─same──► │ ───┘
 *   │  │  └── HOLE, no answer ─────────│──────── │
 *   │  └ STALE ─► stale ─ zombie ─► fenced       └ a gap that cannot be filled, another log ─► windowless
 *   └── member: claim above it ┘
 * ```
 */
import type { AppendAnswer, ClaimAnswer, Fence, OpenAnswer, Window } from './types.ts';

export type UpkeepState =
  | { phase: 'unclaimed'; force: boolean }
  /** There is a window, not known to be of this log. */
  | { phase: 'claimed'; window: Window }
  | { phase: 'windowless'; told: boolean }
  /** `filled`: what lay between tail and ring has been read from the log already. */
  | { phase: 'open'; id: string; tail: number; filled: boolean }
  | { phase: 'stale' }
  /** Somebody newer owns the partition. */
  | { phase: 'fenced' };

export interface Upkeep {
  fence: Fence;
  state: UpkeepState;
  /** Id of a window known to be of the log that is there now. */
  trusted: string | undefined;
  /** Counts the logs: an answer that was asked for another one does not count. */
  life: number;
}

/** The log as the owner's live tail knows it. */
export interface LogView {
  /** The tail reads. */
  reading: boolean;
  /** Offset behind the last one that it showed. */
  next: number;
  /** Every record at or behind it is in the ring; `next` where the ring is empty. */
  ringFrom: number;
}

export type Task = { life: number; fence: Fence } & (
  | { task: 'claim'; force: boolean }
  /** Asks the group whether this member still owns the partition. */
  | { task: 'verify' }
  /** Whether the window's last record is the one that is in the log there. */
  | { task: 'check'; window: Window }
  | { task: 'open'; from: number }
  /** Ends the window: the log that it was of is gone. */
  | { task: 'close' }
  | { task: 'append'; id: string; after: number; until: number }
  /** Reads from the log into the ring what lies between the window's tail and the ring. */
  | { task: 'fill'; from: number; until: number }
);

export type Outcome =
  | { of: 'claim'; answer: ClaimAnswer }
  | { of: 'verify'; answer: 'member' | 'zombie' | 'unknown' }
  | { of: 'check'; answer: 'same' | 'other' | 'unknown' }
  | { of: 'open'; id: string; from: number; answer: OpenAnswer }
  | { of: 'close'; answer: OpenAnswer }
  | { of: 'append'; newTail: number; answer: AppendAnswer }
  | { of: 'fill'; answer: 'done' | 'unknown' }
  /** No answer from Redis: it may have been done, or not. */
  | { of: 'failure' };

/** The rules by themselves, so that a test can break one and see that it is noticed. */
export interface UpkeepRules {
  afterHole: UpkeepState;
  /** Whether a window that is found is the log's without looking. */
  trusts(window: Window, trusted: string | undefined): boolean;
}

export const upkeepRules: UpkeepRules = {
  afterHole: { phase: 'unclaimed', force: false },
  trusts: (window, trusted) => window.id === trusted,
};

export function beginUpkeep(fence: Fence): Upkeep {
  return { fence, state: { phase: 'unclaimed', force: false }, trusted: undefined, life: 0 };
}

/** @param maxFill most offsets that are read again from the log. @returns undefined: nothing to do for now. */
export function nextTask({ fence, state, life }: Upkeep, view: LogView, maxFill: number): Task | undefined {
  const base = { fence, life };
  switch (state.phase) {
    case 'unclaimed':
      return { ...base, task: 'claim', force: state.force };
    case 'stale':
      return { ...base, task: 'verify' };
    case 'claimed':
      return view.reading ? { ...base, task: 'check', window: state.window } : undefined;
    case 'windowless':
      if (view.reading) return { ...base, task: 'open', from: view.ringFrom };
      return state.told ? undefined : { ...base, task: 'close' };
    case 'open': {
      const { id, tail, filled } = state;
      if (!view.reading || tail + 1 >= view.next) return undefined;
      if (view.ringFrom <= tail + 1) return { ...base, task: 'append', id, after: tail, until: view.next };
      if (filled || view.ringFrom - tail - 1 > maxFill) return { ...base, task: 'open', from: view.ringFrom };
      return { ...base, task: 'fill', from: tail + 1, until: view.ringFrom };
    }
    case 'fenced':
      return undefined;
  }
}

/** What is so after a task has been carried out. */
export function settle(upkeep: Upkeep, task: Task, outcome: Outcome, rules: UpkeepRules = upkeepRules): Upkeep {
  const unclaimed: UpkeepState = { phase: 'unclaimed', force: false };
  const to = (state: UpkeepState): Upkeep => ({ ...upkeep, state });
  // Asked under another fence or for another log: whatever was done, a claim will tell.
  if (task.life !== upkeep.life) return to(upkeep.state.phase === 'windowless' ? upkeep.state : unclaimed);
  switch (outcome.of) {
    case 'claim': {
      const { answer } = outcome;
      if (answer.answer === 'STALE') return to({ phase: 'stale' });
      const claimed = { ...upkeep, fence: answer.fence };
      if (answer.window === undefined) return { ...claimed, state: { phase: 'windowless', told: true } };
      if (!rules.trusts(answer.window, upkeep.trusted))
        return { ...claimed, state: { phase: 'claimed', window: answer.window } };
      return { ...claimed, state: { phase: 'open', id: answer.window.id, tail: answer.window.tail, filled: false } };
    }
    case 'verify':
      if (outcome.answer === 'unknown') return upkeep;
      return to(outcome.answer === 'member' ? { phase: 'unclaimed', force: true } : { phase: 'fenced' });
    case 'check': {
      if (outcome.answer === 'unknown' || upkeep.state.phase !== 'claimed') return upkeep;
      if (outcome.answer === 'other') return to({ phase: 'windowless', told: true });
      const { id, tail } = upkeep.state.window;
      return { ...upkeep, trusted: id, state: { phase: 'open', id, tail, filled: false } };
    }
    case 'open':
      if (outcome.answer.answer === 'STALE') return to({ phase: 'stale' });
      return {
        ...upkeep,
        trusted: outcome.id,
        state: { phase: 'open', id: outcome.id, tail: outcome.from - 1, filled: false },
      };
    case 'close':
      return to(outcome.answer.answer === 'STALE' ? { phase: 'stale' } : { phase: 'windowless', told: true });
    case 'append': {
      const { answer } = outcome.answer;
      if (answer === 'STALE') return to({ phase: 'stale' });
      if (answer === 'HOLE' || upkeep.state.phase !== 'open') return to(rules.afterHole);
      return to({ phase: 'open', id: upkeep.state.id, tail: outcome.newTail, filled: false });
    }
    case 'fill':
      if (upkeep.state.phase !== 'open' || outcome.answer === 'unknown') return upkeep;
      return to({ ...upkeep.state, filled: true });
    case 'failure':
      return to(unclaimed);
  }
}

/** A newer claim of the partition by this gateway. */
export function renew(upkeep: Upkeep, fence: Fence): Upkeep {
  return { ...upkeep, fence, state: { phase: 'unclaimed', force: false }, life: upkeep.life + 1 };
}

/** The live tail has stopped: the log may be another one when it begins anew. */
export function logLost(upkeep: Upkeep): Upkeep {
  const state: UpkeepState =
    upkeep.state.phase === 'open' || upkeep.state.phase === 'claimed'
      ? { phase: 'windowless', told: false }
      : upkeep.state;
  return { ...upkeep, state, trusted: undefined, life: upkeep.life + 1 };
}
