import { randomUUID } from 'node:crypto';
import { type CommandPlan, fillShape } from '../../../lib/app/index.ts';
import { limitExceeded, messageOf, PenstockError } from '../../../lib/errors.ts';
import { type KafkaRecord, type Lanes, ProduceError, partitionOf, TooLargeError } from '../../../lib/kafka/index.ts';
import { beginSend, type Logger, type Tracer, traceparentOf } from '../../../lib/ops/index.ts';
import type { EventSink, Flow } from '../flow.ts';
import type { Projection } from '../graphql/projection.ts';
import type { Call } from '../graphql/request.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { beginFeedback } from '../tracing/deliveries.ts';
import type { FeedbackTaps } from './feedback-taps.ts';
import { commandIdOf } from './ids.ts';
import { commandRecord } from './message.ts';

export interface CommandRequest {
  plan: CommandPlan;
  args: Readonly<Record<string, unknown>>;
  /** The field's response path. */
  path: readonly (string | number)[];
  call: Call;
}

/** Sends commands and waits for their feedback. */
export interface Commands {
  /**
   * Resolves with the final feedback as the field's type.
   * @throws PenstockError BAD_USER_INPUT, LIMIT_EXCEEDED, UNAVAILABLE (nothing was written), COMMAND_PENDING with
   *   `commandId` (no feedback in time, or it is not known whether the command was written). When the call's signal is
   *   aborted, a command that is not sent yet is not sent any more, and one that is sent is not waited for.
   */
  send(request: CommandRequest): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Returns a flow with each feedback as an event; it completes with the final one. It holds its place among the commands
   * in flight until it has run or is closed.
   * @throws PenstockError LIMIT_EXCEEDED.
   */
  follow(request: CommandRequest, projection: Projection): Flow;
  /** Stops waiting: what is in flight is answered with COMMAND_PENDING. */
  close(): void;
}

export interface CommandsOptions {
  lanes: Lanes;
  taps: FeedbackTaps;
  metrics: GatewayMetrics;
  log: Logger;
  tracer: Tracer | undefined;
  partitionCount: number;
  /** Commands that may wait for their feedback at once. */
  maxInFlight: number;
}

/** How a command went on. */
interface Outcome {
  feedback(object: Readonly<Record<string, unknown>>, final: boolean): void;
  failed(error: unknown): void;
}

/** One of the commands that may be in flight. */
interface Place {
  /** Ends the wait for its feedback; a command that has not begun is not waited for. */
  giveUp(): void;
}

export function openCommands(options: CommandsOptions): Commands {
  const { lanes, taps, metrics, log, tracer, partitionCount, maxInFlight } = options;
  const inFlight = new Set<Place>();
  return {
    send(request) {
      const { signal } = request.call;
      if (signal.aborted) return Promise.reject(abandoned());
      const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, unknown>>>();
      let place: Place;
      try {
        place = takePlace();
      } catch (error) {
        return Promise.reject(error);
      }
      const outcome: Outcome = {
        feedback(object, final) {
          if (final) resolve(object);
        },
        failed: reject,
      };
      const abandon = begin(request, place, outcome);
      const onAbort = () => void abandon().then(() => reject(abandoned()));
      signal.addEventListener('abort', onAbort);
      return promise.finally(() => signal.removeEventListener('abort', onAbort));
    },
    follow: (request, projection) => commandFlow(request, projection),
    close() {
      for (const place of [...inFlight]) place.giveUp();
    },
  };

  /** @throws PenstockError LIMIT_EXCEEDED. */
  function takePlace(): Place {
    if (inFlight.size >= maxInFlight) {
      throw limitExceeded('PENSTOCK_GATEWAY_MAX_COMMANDS', `${maxInFlight} commands are waiting for feedback`);
    }
    const place: Place = { giveUp() {} };
    inFlight.add(place);
    metrics.commandsInFlight.set(inFlight.size);
    return place;
  }

  function leave(place: Place): void {
    inFlight.delete(place);
    metrics.commandsInFlight.set(inFlight.size);
  }

  /**
   * Calls `outcome` until the final feedback or a failure. The returned function ends that without either; what it returns resolves when
   * nothing of the command is under way here any more.
   */
  function begin(request: CommandRequest, place: Place, outcome: Outcome): () => Promise<void> {
    const { plan, args, call, path } = request;
    const { userKey } = call.caller;
    let commandId: string;
    try {
      const origin = { given: args.commandId, userKey, operationId: call.operationId, path };
      commandId = commandIdOf(origin, randomUUID);
    } catch (error) {
      leave(place);
      outcome.failed(error);
      return async () => {};
    }

    const startedAtMs = performance.now();
    let { traceparent } = call;
    const partition = partitionOf(userKey, partitionCount);
    let sent = false;
    let producing = Promise.resolve();
    let over = false;
    place.giveUp = giveUp;
    let timer = setTimeout(giveUp, plan.timeoutMs);
    const { reading, stop } = taps.listen(plan.feedback, partition, { userKey, commandId }, heard);
    reading.then(produce, unavailable);
    return () => {
      end('abandoned');
      return producing;
    };

    function produce(): void {
      if (over) return;
      sent = true;
      const place = { topic: plan.topic, partition };
      const span = tracer && beginSend(tracer, place, traceparent, { 'messaging.message.id': commandId });
      traceparent = span?.traceparent ?? traceparentOf(traceparent);
      const record = commandRecord({ plan, commandId, userKey, arguments: args, traceparent, timeMs: Date.now() });
      const acknowledged = lanes.send(place, record).then(({ offset }) => {
        span?.set({ 'messaging.kafka.offset': offset });
        span?.end();
      });
      producing = acknowledged.catch((error: unknown) => {
        span?.end(nameOf(error));
        if (error instanceof TooLargeError) {
          fail(limitExceeded('max.message.bytes', 'the command is larger than a record may be', {}, error));
        } else if (error instanceof ProduceError && error.outcome === 'unknown') {
          // It may have been written: its feedback may still come.
          log.warn(
            { event: 'command_write_unsure', error: messageOf(error), commandId, traceparent },
            'a command may or may not have been written',
          );
        } else unavailable(error);
      });
    }

    function heard(record: KafkaRecord, final: boolean): void {
      if (over) return;
      const span = tracer && beginFeedback(tracer, record, { traceparent });
      const filled = fillShape(plan.shape, record);
      if (!filled.ok) {
        span?.end('misfit');
        const { topic, partition, offset } = record;
        log.error(
          { event: 'feedback_misfit', topic, partition, offset, why: filled.reason, traceparent },
          'feedback does not fit its type',
        );
        fail(new Error(`feedback of ${plan.field} does not fit its type: ${filled.reason}`));
        return;
      }
      if (final) end('answered');
      else {
        clearTimeout(timer);
        timer = setTimeout(giveUp, plan.timeoutMs);
      }
      outcome.feedback(filled.value, final);
      span?.end();
    }

    function giveUp(): void {
      if (!sent) unavailable(new Error(`${plan.feedback}/${partition} is not being read`));
      else fail(new PenstockError('COMMAND_PENDING', 'no verdict yet: send the same commandId again', { commandId }));
    }

    function unavailable(cause: unknown): void {
      fail(
        new PenstockError('UNAVAILABLE', 'the command could not be sent; it has had no effect', { commandId }, cause),
      );
    }

    function fail(error: unknown): void {
      if (over) return;
      end(error instanceof PenstockError && error.code === 'COMMAND_PENDING' ? 'pending' : 'failed');
      outcome.failed(error);
    }

    function end(how: 'answered' | 'pending' | 'failed' | 'abandoned'): void {
      if (over) return;
      over = true;
      clearTimeout(timer);
      stop();
      // A record that waits for Kafka counts for as long as it does, whoever waits for its feedback.
      void producing.then(() => leave(place));
      const seconds = (performance.now() - startedAtMs) / 1_000;
      metrics.commandSeconds.observe({ outcome: how }, seconds);
      const line = { commandId, type: plan.type, outcome: how, seconds, traceparent };
      if (how === 'answered' || how === 'abandoned')
        log.debug({ event: 'command_ended', ...line }, 'a command is over');
      else log.warn({ event: 'command_unanswered', ...line }, 'a command got no verdict');
    }
  }

  function commandFlow(request: CommandRequest, projection: Projection): Flow {
    const place = takePlace();
    let abandon: (() => Promise<void>) | undefined;
    let finish: (() => void) | undefined;
    let closed = false;
    return {
      cursor: () => undefined,
      replay: undefined,
      run: (sink: EventSink) =>
        new Promise((resolve, reject) => {
          finish = resolve;
          if (closed) return resolve();
          abandon = begin(request, place, {
            feedback(object, final) {
              try {
                sink.next(projection.members(object), undefined);
              } catch (error) {
                // It is too large, for this one only: who hands feedback on has others to tell.
                void abandon?.();
                reject(error);
                return;
              }
              if (final) resolve();
            },
            failed: reject,
          });
        }),
      close() {
        closed = true;
        if (abandon === undefined) leave(place);
        else if (finish) void abandon().then(finish);
      },
    };
  }
}

/** The class of an error, which its message may tell too much of. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}

/** Nobody is there to read it. */
function abandoned(): PenstockError {
  return new PenstockError('UNAVAILABLE', 'the client wants no answer any more');
}
