import type { Point } from './log-record.ts';
import type { Tail } from './tail.ts';
import { ofTopic, topicMark } from './topic-mark.ts';
import type { StreamRequest } from './types.ts';

/** Where a flow begins. */
export interface FlowStart {
  tail: Tail;
  /** Undefined: now, wherever the tail is. */
  point: Point | undefined;
  /** The record at `point` still has to be read, and have its timestamp. */
  check: boolean;
}

/** Of the topic that the cursor is for; else of the one that the tails read. */
export function markOf({ start, topic }: StreamRequest, starts: ReadonlyMap<number, FlowStart>): string | undefined {
  const known = start.kind === 'position' ? ofTopic(start.position.topicMarks, topic) : undefined;
  if (known !== undefined) return known;
  for (const { tail } of starts.values()) {
    const topicId = tail.topicId();
    if (topicId !== undefined) return topicMark(topicId);
  }
  return undefined;
}

/** The caller's last sequence: from the cursor; for `now`, what the tail has seen of the key. */
export function firstSequence(request: StreamRequest, starts: ReadonlyMap<number, FlowStart>): number | undefined {
  if (request.key === undefined) return undefined;
  if (request.start.kind === 'position') return ofTopic(request.start.position.sequences, request.topic);
  if (request.start.kind !== 'now') return undefined;
  for (const { tail } of starts.values()) return tail.lastSequence(request.key);
  return undefined;
}
