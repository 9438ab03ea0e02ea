import { type ExecutionArgs, type FormattedExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { makeServer, type Server } from 'graphql-ws';
import type { Caller } from '../../../lib/auth/types.ts';
import { closeCodes, limitExceeded, limitOf, PenstockError } from '../../../lib/errors.ts';
import { isTraceparent, type Tracer, traceparentOf } from '../../../lib/ops/index.ts';
import type { Engine, Prepared } from '../graphql/engine.ts';
import { type ErrorFormatter, isPassing } from '../graphql/errors.ts';
import { type Call, readRequest } from '../graphql/request.ts';
import { beginOperation, endFailed, endOperation } from '../tracing/operations.ts';
import type { Connection } from './connection.ts';
import { runningAnswer, runningFlow } from './operation.ts';

export interface ProtocolOptions {
  engine: Engine;
  format: ErrorFormatter;
  /** Operations whose work is under way for one connection, those that the client has completed included. */
  maxOperations: number;
  maxOperationIdLength: number;
  tracer: Tracer | undefined;
  /** Told of the errors of every answer: those of limits are counted. */
  refused(errors: readonly GraphQLFormattedError[] | undefined): void;
  /**
   * Checks the access token of `connection_init`; undefined: it closed the connection itself. `moves`: the client can be
   * told to move, and need not be closed for it.
   */
  welcome(connection: Connection, accessToken: string | undefined, moves: boolean): Promise<Caller | undefined>;
}

/** What `onSubscribe` found out, handed on to `execute` or `subscribe` as the context value. */
interface Operation {
  prepared: Prepared;
  call: Call;
  connection: Connection;
  /** Ends what `call.signal` is given to. */
  canceller: AbortController;
}

/**
 * The sub-protocol graphql-transport-ws by graphql-ws's own server core
 * (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). Frames of subscriptions go past it: see
 * {@link runningFlow}.
 */
export function openProtocol({
  engine,
  format,
  maxOperations,
  maxOperationIdLength,
  tracer,
  refused,
  welcome,
}: ProtocolOptions): Server<Connection> {
  return makeServer<Record<string, unknown>, Connection>({
    connectionInitWaitTimeout: 10_000,

    async onConnect({ extra: connection, connectionParams }) {
      const { accessToken, moves } = connectionParams ?? {};
      const token = typeof accessToken === 'string' ? accessToken : undefined;
      connection.caller = await welcome(connection, token, moves === true);
      return connection.caller !== undefined;
    },

    onSubscribe({ extra: connection }, id, payload): ExecutionArgs | readonly GraphQLError[] {
      const { caller } = connection;
      try {
        if (!caller) throw new PenstockError('UNAUTHENTICATED', 'the connection has no caller', { reason: 'missing' });
        if (connection.operations.size >= maxOperations) {
          const why = `${maxOperations} operations are under way on this connection`;
          throw limitExceeded('PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS', why);
        }
        if (id.length > maxOperationIdLength) {
          const why = `the operation's id has ${id.length} characters, allowed are ${maxOperationIdLength}`;
          throw limitExceeded('PENSTOCK_GATEWAY_MAX_OPERATION_ID_LENGTH', why);
        }
        const prepared = engine.prepare(readRequest(payload));
        const canceller = new AbortController();
        const own = prepared.request.extensions.traceparent;
        const parent = own === undefined ? connection.traceparent : traceparentOf(own);
        const span = tracer && beginOperation(tracer, prepared, { parent: own ?? parent, transport: 'websocket' });
        const { signal } = canceller;
        const traceparent = span?.traceparent ?? parent;
        const call: Call = { caller, traceparent, span, operationId: id, lastEventId: undefined, signal };
        const { document, request } = prepared;
        const operation: Operation = { prepared, call, connection, canceller };
        connection.operations.add(operation);
        return {
          schema: engine.schema,
          document,
          operationName: request.operationName ?? null,
          contextValue: operation,
        };
      } catch (error) {
        return asGraphqlErrors(error);
      }
    },

    execute(args) {
      const operation = args.contextValue as Operation;
      return runningAnswer<object>({
        async run() {
          const { prepared, call } = operation;
          const result = await engine.execute(prepared, call);
          if (call.span) endOperation(call.span, result.errors);
          const refusal = refusalIn(result);
          if (refusal) throw refusal;
          // Formatted already: `onNext` hands it on as it is.
          return result as object;
        },
        ...ending(operation),
      });
    },

    subscribe(args) {
      const operation = args.contextValue as Operation;
      const { prepared, call, connection } = operation;
      const id = call.operationId ?? '';
      return runningFlow({
        open: () => engine.subscribe(prepared, call),
        sink: connection.sinkOf(id),
        begun: flow => {
          connection.follow(id, flow);
          // A stream may go on for days: the operation has been served when it begins.
          if (!engine.runsCommand(prepared)) call.span?.end();
        },
        over: flow => connection.unfollow(id, flow),
        failed: error => {
          if (call.span) endFailed(call.span, error);
          // A stock client takes an `error` message for final, and comes back after this.
          if (isPassing(error)) connection.close(closeCodes.tryAgainLater, 'not served now: come back and resume');
        },
        ...ending(operation),
      });
    },

    onNext(_context, _id, _payload, _args, result) {
      // Formatted by the engine.
      refused(result.errors as readonly GraphQLFormattedError[] | undefined);
      return result as object;
    },

    onError({ extra: connection }, _id, { extensions }, errors) {
      const own = extensions?.traceparent;
      const traceparent = isTraceparent(own) ? own : connection.traceparent;
      const formatted = errors.flatMap(error => format(error, traceparent));
      refused(formatted);
      return formatted;
    },
  });
}

function ending(operation: Operation): { cancel(): void; ended(): void } {
  const { connection, canceller, call } = operation;
  const ended = (): void => {
    connection.operations.delete(operation);
    call.span?.end();
  };
  return { cancel: () => canceller.abort(), ended };
}

/** The refusal of a whole operation by a limit: it has no result. */
function refusalIn({ data, errors }: FormattedExecutionResult): PenstockError | undefined {
  const [error] = errors ?? [];
  if (data !== undefined || !error || !limitOf(error.extensions)) return undefined;
  return new PenstockError('LIMIT_EXCEEDED', error.message, error.extensions);
}

function asGraphqlErrors(error: unknown): readonly GraphQLError[] {
  const cause = error instanceof Error ? error : new Error(String(error));
  return [cause instanceof GraphQLError ? cause : new GraphQLError(cause.message, { originalError: cause })];
}
