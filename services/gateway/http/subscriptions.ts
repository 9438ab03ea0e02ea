import type { ServerResponse } from 'node:http';
import { httpStatusOf, limitExceeded, PenstockError } from '../../../lib/errors.ts';
import type { Clients } from '../clients.ts';
import { whenOver } from '../expiry.ts';
import type { Engine, Prepared } from '../graphql/engine.ts';
import { type ErrorFormatter, isPassing } from '../graphql/errors.ts';
import type { Call } from '../graphql/request.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { endOperation } from '../tracing/operations.ts';
import { sendResult, statusOf } from './answers.ts';
import { type EventStream, type EventStreamOptions, openEventStream } from './event-stream.ts';

export interface SubscriptionsOptions extends Omit<EventStreamOptions, 'onSlow'> {
  format: ErrorFormatter;
  clients: Clients;
  metrics: GatewayMetrics;
  partitionOf(userKey: string): number;
  maxConnections: number;
}

/** Operations over SSE (distinct connections mode), one response each. */
export interface Subscriptions {
  /** A subscription's events, or the one result of a query or mutation. @throws PenstockError LIMIT_EXCEEDED, UNAVAILABLE: nothing has been answered yet. */
  serve(
    engine: Engine,
    response: ServerResponse,
    prepared: Prepared | { refused: unknown },
    call: Call,
    routed: boolean,
  ): Promise<void>;
}

export function openSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { format, clients, metrics } = options;
  let open = 0;
  return {
    async serve(engine, response, prepared, call, routed) {
      if (open >= options.maxConnections) {
        throw limitExceeded('PENSTOCK_GATEWAY_MAX_CONNECTIONS', 'too many connections');
      }
      const stream = openEventStream(response, { ...options, onSlow: () => metrics.slowClosed.inc() });
      const events: EventStream = {
        ...stream,
        finish(result) {
          metrics.refusals.countErrors(result.errors, 'sse');
          if (call.span) endOperation(call.span, result.errors);
          stream.finish(result);
        },
      };
      if ('refused' in prepared) return events.finish({ errors: format(prepared.refused, call.traceparent) });
      if (prepared.type !== 'subscription') {
        const result = await engine.execute(prepared, call);
        if (statusOf(result, 'application/json') === 200) return events.finish(result);
        metrics.refusals.countErrors(result.errors, 'sse');
        return sendResult(response, result, 'application/json');
      }

      const { userKey, expiresAtMs } = call.caller;
      const state: { ending: 'complete' | 'break off' | 'expired' } = { ending: 'complete' };
      let close: () => void = () => {};
      open++;
      metrics.connections.inc();
      const departures = [
        clients.add({
          partition: options.partitionOf(userKey),
          userKey,
          routed,
          moveOn: () => end('break off'),
          afterEvent: events.afterEvent,
        }),
        whenOver(expiresAtMs, () => end('expired')),
      ];
      try {
        const flow = await engine.subscribe(prepared, call);
        // A stream may go on for days: the operation has been served when it begins.
        if (!engine.runsCommand(prepared)) call.span?.end();
        close = flow.close;
        if (state.ending !== 'complete') flow.close();
        await events.follow(flow);
        if (state.ending === 'break off') return events.breakOff();
        if (state.ending === 'complete') return events.complete();
        throw new PenstockError('UNAUTHENTICATED', 'the access token has expired', { reason: 'expired' });
      } catch (error) {
        if (!response.headersSent && (isPassing(error) || isTooMany(error))) throw error;
        events.finish({ errors: format(error, call.traceparent) });
      } finally {
        open--;
        metrics.connections.dec();
        for (const undo of departures) undo();
      }

      function end(how: typeof state.ending): void {
        state.ending = how;
        close();
      }
    },
  };
}

/** Returns whether there are too many others now: the client is told when to come back. */
function isTooMany(error: unknown): boolean {
  return error instanceof PenstockError && httpStatusOf(error.code, error.extensions) === 429;
}
