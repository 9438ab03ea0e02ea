import { headerText, type KafkaRecord } from '../../../lib/kafka/index.ts';
import { beginProcess, isSampled, type Span, type Tracer, traceIdOf } from '../../../lib/ops/index.ts';

/**
 * Begins the span of a feedback that is handed to who waits for it. The verdict of a command that was sent again is in the trace of the
 * first time: it is shown in the trace of who waits for it now.
 */
export function beginFeedback(tracer: Tracer, record: KafkaRecord, call: { traceparent: string }): Span {
  const parent = headerText(record.headers, 'traceparent');
  const isSame = parent !== undefined && traceIdOf(parent) === traceIdOf(call.traceparent);
  return beginProcess(tracer, record, isSame ? parent : call.traceparent);
}

/**
 * Begins the span of an event that is delivered to one subscription. Undefined where nobody records the trace that it came from: a
 * record that came without one would begin a trace for each of its subscribers.
 */
export function beginEvent(tracer: Tracer, record: KafkaRecord, field: string): Span | undefined {
  const parent = headerText(record.headers, 'traceparent');
  return isSampled(parent) ? beginProcess(tracer, record, parent, { 'penstock.field': field }) : undefined;
}
