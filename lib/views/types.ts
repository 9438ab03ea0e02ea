import type { ViewPlan } from '../app/plan.ts';
import type { StreamPosition } from '../replay/types.ts';

/** Reads views. Every field of one operation is read in one snapshot (repeatable read), together with its positions. */
export interface Views {
  /**
   * @param signal when it is aborted, nothing further is asked of PostgreSQL but the transaction's end.
   * @throws PenstockError UNAVAILABLE when no connection is to be had, or the signal is aborted.
   */
  openSnapshot(signal?: AbortSignal): Promise<ViewSnapshot>;
  close(): Promise<void>;
}

export interface ViewSnapshot {
  /**
   * A row object or null, a list of row objects, or a Relay connection object; keys are GraphQL field names, values are
   * ready for serialisation. `everyRow`: the caller has a role of `view.anyOf`; otherwise only rows that `userKey` owns.
   * @throws PenstockError BAD_USER_INPUT for a bad page cursor or size.
   */
  read(
    view: ViewPlan,
    args: Readonly<Record<string, unknown>>,
    caller: { userKey: string; everyRow: boolean },
  ): Promise<unknown>;
  /** What the tables of the views read so far have seen: all partitions of their topics, and the last sequences of `userKey`. */
  position(userKey: string): Promise<StreamPosition>;
  close(): Promise<void>;
}
