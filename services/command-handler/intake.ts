import { isUtf8 } from 'node:buffer';
import { type AppPlan, type CommandPlan, commandTypes, validateArguments } from '../../lib/app/index.ts';
import { uuidV5 } from '../../lib/app/uuid.ts';
import { messageOf } from '../../lib/errors.ts';
import { headerText, type KafkaRecord } from '../../lib/kafka/index.ts';
import type { CommandIntake, DeadIntake, Intake } from './types.ts';

/** Names a command that came without an id by its place in the log, so that a repeated read means the same command. */
const namespace = '2d1f6f3e-6f0c-5c3a-9a51-4a8f0f0b7c11';
/** Longest user key and command id that are taken, bytes: together they must fit into an entry of an index (2,704). */
const maxKeyBytes = 1_024;
const maxIdBytes = 256;

/** @param topicId of the topic that the record was read from: offsets mean something in it alone. */
export type Sort = (record: KafkaRecord, topicId: string) => Intake;

/** Sorts records of an app's command topics: what may be decided, what is refused, what nobody can be told about. */
export function openSorting(plan: AppPlan): Sort {
  const types = commandTypes(plan);
  return (record, topicId) => {
    const typeName = headerText(record.headers, 'ce_type');
    const type = typeName === undefined ? undefined : types.get(record.topic)?.get(typeName);
    const userKey = userKeyOf(record);
    if (userKey === undefined) return dead(record, 'UnusableKey', 'the record has no key that can be a user key');
    if (type === undefined) return dead(record, 'UnknownCommandType', 'ce_type names no command of this topic');
    return commandOf(plan, type, record, { userKey, id: commandIdOf(record, topicId) });
  };
}

function commandOf(
  plan: AppPlan,
  type: CommandPlan,
  record: KafkaRecord,
  name: { userKey: string; id: string },
): CommandIntake {
  const json = jsonOf(record.value);
  const { checked, raw } = checkedArguments(plan, type, json);
  return {
    ...placeOf(record),
    kind: 'command',
    command: {
      ...name,
      type: type.type,
      arguments: checked.ok ? checked.arguments : raw,
      timeMs: record.timestampMs,
    },
    feedbackTopic: type.feedback,
    traceparent: traceOf(record),
    refusal: checked.ok ? undefined : checked.reason,
  };
}

/** A value that is nested too deeply can be parsed, but neither checked nor written again: nothing of it is kept. */
function checkedArguments(plan: AppPlan, type: CommandPlan, json: unknown) {
  try {
    return { checked: validateArguments(plan, type, json), raw: isObject(json) ? json : {} };
  } catch (error) {
    const reason = `the arguments can't be checked: ${messageOf(error)}`;
    return { checked: { ok: false as const, reason }, raw: {} };
  }
}

function dead(record: KafkaRecord, exception: string, message: string): DeadIntake {
  return { ...placeOf(record), kind: 'dead', exception, message, record };
}

function placeOf(record: KafkaRecord) {
  const { topic, partition, offset, timestampMs } = record;
  return { at: { topic, partition, offset }, timestampMs, sizeBytes: sizeOf(record) };
}

/** Roughly what a record holds of memory, bytes. */
export function sizeOf(record: KafkaRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + 512;
}

/** A key that is text as PostgreSQL can hold it; anything else would stop its partition. */
function userKeyOf({ key }: KafkaRecord): string | undefined {
  if (key === null || key.length === 0 || !isUtf8(key)) return undefined;
  const text = key.toString('utf8');
  return isUserKey(text) ? text : undefined;
}

function commandIdOf(record: KafkaRecord, topicId: string): string {
  const id = headerText(record.headers, 'ce_id');
  if (id !== undefined && isCommandId(id)) return id;
  const place = `${topicId}/${record.topic}/${record.partition}/${record.offset}`;
  // A log that was truncated may have another record at that offset, under another epoch.
  const { leaderEpoch = -1 } = record;
  return uuidV5(namespace, leaderEpoch < 0 ? place : `${place}/${leaderEpoch}`);
}

/** W3C Trace Context; anything else is not handed on. */
const traceparent = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceOf(record: KafkaRecord): string | undefined {
  const trace = headerText(record.headers, 'traceparent');
  return trace !== undefined && traceparent.test(trace) ? trace : undefined;
}

/** Whether a text can be the key of a record and of the tables. */
export function isUserKey(text: string): boolean {
  return isStorable(text, maxKeyBytes);
}

/** Whether a text can be the id of a command in the tables. */
export function isCommandId(text: string): boolean {
  return isStorable(text, maxIdBytes);
}

function isStorable(text: string, maxBytes: number): boolean {
  return text.length > 0 && Buffer.byteLength(text) <= maxBytes && !text.includes('\u0000') && text.isWellFormed();
}

function jsonOf(value: Buffer | null): unknown {
  if (value === null || !isUtf8(value)) return undefined;
  try {
    return JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
