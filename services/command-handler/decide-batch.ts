import type { AppPlan, Command, CommandApp, Decision } from '../../lib/app/index.ts';
import { isUserKey } from './intake.ts';
import type { CommandIntake } from './types.ts';

/** A row of the outbox before its key is locked: `nth` of the rows that this batch adds to its key, from 1. */
export interface PlannedRow {
  key: string;
  nth: number;
  partition: number;
  topic: string;
  eventId: string;
  /** Set for the feedback, whose row is the verdict as well. */
  commandId: string | undefined;
  traceparent: string | undefined;
  timeMs: number;
  value: string;
  /** When the command was appended, ms; for the feedback only. */
  appendedMs: number | undefined;
}

export interface CommandName {
  key: string;
  commandId: string;
}

export interface Outcome {
  type: string;
  verdict: string;
}

export interface DecidedBatch<Change> {
  rows: readonly PlannedRow[];
  /** How many rows each key gets. */
  counts: ReadonlyMap<string, number>;
  changes: readonly Change[];
  /** Commands whose stored verdict is published once more; one a repetition. */
  repeats: readonly CommandName[];
  outcomes: readonly Outcome[];
}

/** The batch must be decided again with this command refused: deciding it may have left the state half changed. */
export interface Refusal {
  commandId: string;
  key: string;
  reason: string;
  traceparent?: string | undefined;
  /** What `decide` threw. */
  cause?: unknown;
}

export interface Deciding<State, Change> {
  app: Pick<CommandApp<State, Change>, 'decide' | 'reject'>;
  plan: AppPlan;
  state: State;
  /** Names of {@link nameOf} that have a verdict already. */
  decided: ReadonlySet<string>;
  /** Reasons to refuse a command whatever the app would say, by {@link nameOf}. */
  refused: ReadonlyMap<string, string>;
  partitionOf(key: string): number;
  nowMs: number;
  uuid(): string;
  /** Largest value of a record, bytes. */
  maxValueBytes: number;
}

/** A command's identity: never across users. */
export function nameOf(key: string, commandId: string): string {
  return `${key}\u0000${commandId}`;
}

/** Pure but for `state`. Decides in order; a command that has a verdict is not decided a second time. */
export function decideBatch<State, Change>(
  intakes: readonly CommandIntake[],
  deciding: Deciding<State, Change>,
): DecidedBatch<Change> | Refusal {
  const { app, plan, state, nowMs, uuid, maxValueBytes } = deciding;
  const rows: PlannedRow[] = [];
  const counts = new Map<string, number>();
  const changes: Change[] = [];
  const repeats: CommandName[] = [];
  const outcomes: Outcome[] = [];
  const here = new Set<string>();
  const topics = new Set([...plan.topics.map(topic => topic.name), ...intakes.map(intake => intake.feedbackTopic)]);

  for (const intake of intakes) {
    const { command, traceparent } = intake;
    const name = nameOf(command.userKey, command.id);
    if (here.has(name) || deciding.decided.has(name)) {
      repeats.push({ key: command.userKey, commandId: command.id });
      outcomes.push({ type: command.type, verdict: 'repeated' });
      continue;
    }
    here.add(name);
    const refusal = deciding.refused.get(name) ?? intake.refusal;
    let planned: readonly Planned[];
    let decision: Decision<Change>;
    try {
      decision =
        refusal === undefined ? app.decide(state, command, { nowMs, uuid, plan }) : rejected(app, command, refusal);
      planned = plannedOf(intake, decision);
      if (refusal === undefined) for (const each of planned) assertPublishable(each, topics);
    } catch (cause) {
      return { key: command.userKey, commandId: command.id, reason: 'internal error', traceparent, cause };
    }
    if (refusal === undefined && planned.some(({ value }) => Buffer.byteLength(value) > maxValueBytes)) {
      return { key: command.userKey, commandId: command.id, reason: 'too large', traceparent };
    }
    for (const each of planned) add(intake, each);
    for (const change of decision.changes) changes.push(change);
    outcomes.push({ type: command.type, verdict: decision.verdict });
  }
  return { rows, counts, changes, repeats, outcomes };

  function add(intake: CommandIntake, { key, topic, value, isFeedback }: Planned): void {
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    rows.push({
      key,
      nth,
      partition: deciding.partitionOf(key),
      topic,
      eventId: uuid(),
      commandId: isFeedback ? intake.command.id : undefined,
      traceparent: intake.traceparent,
      timeMs: nowMs,
      value,
      appendedMs: isFeedback ? intake.timestampMs : undefined,
    });
  }
}

interface Planned {
  key: string;
  topic: string;
  value: string;
  isFeedback: boolean;
}

/** A record for a topic that is not there, or for no possible key, would wait in the outbox for ever. */
function assertPublishable({ key, topic }: Planned, topics: ReadonlySet<string>): void {
  if (!topics.has(topic)) throw new Error(`an event is for topic ${topic}, which the schema does not name`);
  if (!isUserKey(key)) throw new Error(`an event for topic ${topic} has a key that cannot be a user key`);
}

/** Events first: whoever has the verdict may look for what it did. */
function plannedOf<Change>(intake: CommandIntake, decision: Decision<Change>): Planned[] {
  const events = decision.events.map(({ topic, key, value }) => ({
    key,
    topic,
    value: JSON.stringify(value),
    isFeedback: false,
  }));
  const feedback = JSON.stringify(decision.feedback);
  return [...events, { key: intake.command.userKey, topic: intake.feedbackTopic, value: feedback, isFeedback: true }];
}

function rejected<State, Change>(
  app: Pick<CommandApp<State, Change>, 'reject'>,
  command: Command,
  reason: string,
): Decision<Change> {
  return { feedback: app.reject(command.id, reason, command), verdict: 'rejected', changes: [], events: [] };
}
