import type { Attributes, Span, Tracer } from './tracer.ts';

/** The place where a record lies, or is to be written. */
interface RecordPlace {
  topic: string;
  partition: number;
  offset?: number;
}

/** Begins the span of a record that is produced; its `traceparent` belongs into the record's headers. */
export function beginSend(tracer: Tracer, place: RecordPlace, parent: unknown, more?: Attributes): Span {
  return tracer.begin('producer', `send ${place.topic}`, parent, { ...attributesOf('send', place), ...more });
}

/** Begins the span of a record that is dealt with. @param parent the record's header `traceparent`. */
export function beginProcess(tracer: Tracer, place: RecordPlace, parent: unknown, more?: Attributes): Span {
  return tracer.begin('consumer', `process ${place.topic}`, parent, { ...attributesOf('process', place), ...more });
}

/** https://opentelemetry.io/docs/specs/semconv/messaging/kafka/, but for the key, which names a user. */
function attributesOf(operation: string, { topic, partition, offset }: RecordPlace): Attributes {
  return {
    'messaging.system': 'kafka',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.kafka.offset': offset,
  };
}
