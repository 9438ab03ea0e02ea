import type { Bounds } from './fresh-offsets.ts';

/** Bytes of a topic's id that are carried along: 48 of its 122 random bits tell two topics of one name apart. */
export const topicMarkBytes = 6;

/** The beginning of a topic's id (base64url): what a position remembers of it. */
export function topicMark(topicId: string): string {
  return topicId.slice(0, (topicMarkBytes * 8) / 6);
}

/** What a record says of a topic itself: one named `constructor` has nothing of every object's. */
export function ofTopic<T>(byTopic: Readonly<Record<string, T>> | undefined, topic: string): T | undefined {
  return byTopic !== undefined && Object.hasOwn(byTopic, topic) ? byTopic[topic] : undefined;
}

/** Whether they may be the same topic: true where one of them is not known. */
export function isSameTopic(mark: string | undefined, topicId: string | undefined): boolean {
  return mark === undefined || topicId === undefined || topicId.startsWith(mark);
}

/** Of the topic that the bounds are of, by its name; nothing where it does not exist. */
export function marksOf(topic: string, bounds: ReadonlyMap<number, Bounds>): Readonly<Record<string, string>> {
  for (const { topicId } of bounds.values()) return { [topic]: topicMark(topicId) };
  return {};
}
