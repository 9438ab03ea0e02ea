import type { AppPlan } from './plan.ts';

/** A command as the handler read it. `arguments` is the record's JSON object, not yet checked by the app. */
export interface Command {
  /** `ce_id`. */
  id: string;
  /** `ce_type`. */
  type: string;
  /** The record's key: the caller. */
  userKey: string;
  arguments: Readonly<Record<string, unknown>>;
  timeMs: number;
}

/** A record that follows from a command. Its sequence number and headers are the handler's work. */
export interface OutgoingEvent {
  topic: string;
  key: string;
  value: Readonly<Record<string, unknown>>;
}

export interface Decision<Change> {
  /** The final feedback's value; it goes to the command's feedback topic under the caller's key. */
  feedback: Readonly<Record<string, unknown>>;
  /** Low-cardinality word for metrics: `accepted`, `rejected`, `repeated`. */
  verdict: string;
  changes: readonly Change[];
  events: readonly OutgoingEvent[];
}

/** The piece of a PostgreSQL client that an app gets; always inside the handler's transaction. */
export interface LedgerQueries {
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/**
 * What `commands.ts` of an app exports as default: its tables, how a batch's state is loaded (rows locked in sorted
 * order), the pure decision, and how a batch's changes are written (set-based).
 */
export interface CommandApp<State, Change> {
  /** Idempotent DDL, run under an advisory lock at start; the app's tables live in a schema of its own. */
  migrations: readonly string[];
  /** Loads and locks all that `decide` needs for these commands. */
  load(queries: LedgerQueries, commands: readonly Command[]): Promise<State>;
  /** Pure: mutates nothing but `state` (so that later commands of the batch see it), reads no clock, no randomness. */
  decide(state: State, command: Command, context: DecisionContext): Decision<Change>;
  save(queries: LedgerQueries, changes: readonly Change[]): Promise<void>;
  /**
   * Feedback for a command that cannot be decided: not JSON, arguments that do not fit, too large. The command comes
   * along, its arguments unchecked, for an app that has a reason of its own.
   */
  reject(commandId: string, reason: string, command?: Command): Readonly<Record<string, unknown>>;
}

/** Time and ids come in from outside, so that a decision can be replayed in a test. */
export interface DecisionContext {
  nowMs: number;
  uuid(): string;
  plan: AppPlan;
}
