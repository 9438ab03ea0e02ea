import type { CommandPlan } from '../../../lib/app/plan.ts';
import type { OutgoingRecord } from '../../../lib/kafka/types.ts';

export interface CommandMessage {
  plan: Pick<CommandPlan, 'type'>;
  commandId: string;
  userKey: string;
  /** As given, with the schema's defaults. */
  arguments: Readonly<Record<string, unknown>>;
  traceparent: string;
  timeMs: number;
}

/** CloudEvents 1.0, Kafka protocol binding, binary content mode; `traceparent` is W3C Trace Context. */
export function commandRecord(message: CommandMessage): OutgoingRecord {
  return {
    key: message.userKey,
    value: JSON.stringify(message.arguments),
    headers: {
      ce_specversion: '1.0',
      ce_id: message.commandId,
      ce_type: message.plan.type,
      ce_source: '/penstock/gateway',
      ce_time: new Date(message.timeMs).toISOString(),
      'content-type': 'application/json',
      traceparent: message.traceparent,
    },
  };
}
