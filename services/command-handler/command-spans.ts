import { beginProcess, type Span, type Tracer } from '../../lib/ops/index.ts';
import type { Batch } from './batch.ts';
import type { Outcome } from './decide-batch.ts';
import type { CommandIntake, Intake } from './types.ts';

/**
 * Spans of commands from when a batch takes them up until they are committed. One transaction is of many commands and of as many
 * traces: so each command has its span, which is as long as the transaction and the attempts before it.
 */
export interface CommandSpans {
  /** Returns the batch with its commands in their spans: what follows from a command has its span as parent. */
  begin(batch: Batch): Batch;
  /** They are committed. @param outcomes in the order of the batch's commands. */
  committed(batch: Batch, outcomes: readonly Outcome[]): void;
  /** Ends those that have not been committed. @param why the batch will be read again; undefined: they have gone to the dead letters. */
  over(batch: Batch, why: string | undefined): void;
}

/** @param group consumer group of the handlers. */
export function openCommandSpans(tracer: Tracer, group: string): CommandSpans {
  return {
    begin: batch => batch.map(slice => ({ ...slice, intakes: slice.intakes.map(begun) })),
    committed(batch, outcomes) {
      for (const [index, { span }] of commandsOf(batch).entries()) {
        span?.set({ 'penstock.verdict': outcomes[index]?.verdict });
        span?.end();
      }
    },
    over(batch, why = 'dead') {
      for (const { span } of commandsOf(batch)) span?.end(why);
    },
  };

  function begun(intake: Intake): Intake {
    if (intake.kind === 'dead') return intake;
    const { at, command, traceparent } = intake;
    const span: Span = beginProcess(tracer, at, traceparent, {
      'messaging.consumer.group.name': group,
      'messaging.message.id': command.id,
      'cloudevents.event_type': command.type,
    });
    return { ...intake, span, traceparent: span.traceparent };
  }
}

function commandsOf(batch: Batch): CommandIntake[] {
  return batch.flatMap(({ intakes }) => intakes.filter(intake => intake.kind === 'command'));
}
