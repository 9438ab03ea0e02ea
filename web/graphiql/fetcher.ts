import { type Client, type Event, type GraphqlError, OperationError, UnauthorizedError } from '@penstock/client';
import { type DocumentNode, getOperationAST, OperationTypeNode, parse, print, separateOperations } from 'graphql';
import type { StreamLog } from './stream.ts';

/** As GraphiQL calls its fetcher. */
export interface Operation {
  query: string;
  operationName?: string | null | undefined;
  variables?: unknown;
}

/** What GraphiQL shows as it is. */
export interface ShownResult {
  data?: Record<string, unknown> | null;
  errors?: readonly GraphqlError[];
  extensions?: Record<string, unknown>;
}

interface Observer {
  next(result: ShownResult): void;
  error(error: unknown): void;
  complete(): void;
}

export interface ResultStream {
  subscribe(observer: Observer): { unsubscribe(): void };
}

export interface FetcherParts {
  client: Pick<Client, 'subscribe'>;
  /** Sends a query or a mutation, as `openPost` does. */
  post(operation: Operation): Promise<ShownResult>;
  log: StreamLog;
  /** The user has to log in again. */
  onUnauthorized(): void;
}

export type Fetcher = (operation: Operation) => Promise<ShownResult> | ResultStream;

/** Events are handed over for this long before the page may draw and hear the user, ms. */
const sliceMs = 16;

/** Queries and mutations go over HTTP, subscriptions the way that all of the client's go. */
export function openFetcher({ client, post, log, onUnauthorized }: FetcherParts): Fetcher {
  async function answer(operation: Operation): Promise<ShownResult> {
    try {
      const result = await post(operation);
      const { cursor } = result.extensions ?? {};
      if (typeof cursor === 'string') log.sawCursor(cursor);
      return result;
    } catch (error) {
      if (error instanceof UnauthorizedError) onUnauthorized();
      throw error;
    }
  }

  function stream(query: string, variables: object): ResultStream {
    return {
      subscribe(observer) {
        const events = client.subscribe({ query, variables, ...log.beginning() });
        let isStopped = false;
        log.began();
        void deliver(events, event => {
          log.got(event);
          observer.next(resultOf(event));
        })
          .then(() => {
            if (!isStopped) observer.complete();
          })
          .catch((error: unknown) => {
            if (isStopped) return;
            if (error instanceof UnauthorizedError) onUnauthorized();
            // The editor would show no more than the message.
            if (error instanceof OperationError) observer.next({ errors: error.errors });
            else observer.error(messageOnly(error));
            observer.complete();
          })
          .finally(() => {
            if (!isStopped) log.ended();
          });
        return {
          unsubscribe() {
            if (isStopped) return;
            isStopped = true;
            log.ended();
            void events.return();
          },
        };
      },
    };
  }

  return operation => {
    const document = parsed(operation.query);
    // What cannot be parsed goes to the server, which says what is wrong with it.
    if (document === undefined) return answer(operation);
    const operationName = chosenName(document, operation.operationName);
    const query = subscriptionIn(document, operationName);
    if (query === undefined) return answer({ ...operation, operationName });
    const { variables } = operation;
    return stream(query, typeof variables === 'object' && variables !== null ? variables : {});
  };
}

/** A burst of events does not freeze the page: the client waits meanwhile, and the servers do. */
async function deliver(events: AsyncIterable<Event<unknown>>, take: (event: Event<unknown>) => void): Promise<void> {
  let beganMs = performance.now();
  for await (const event of events) {
    take(event);
    if (performance.now() - beganMs < sliceMs) continue;
    await new Promise(resolve => setTimeout(resolve));
    beganMs = performance.now();
  }
}

/** As it came over the wire. */
function resultOf({ data, errors, cursor, replayed }: Event<unknown>): ShownResult {
  return {
    data: data as Record<string, unknown>,
    ...(errors && { errors }),
    extensions: { ...(cursor !== undefined && { cursor }), ...(replayed && { replayed }) },
  };
}

/** The editor would print the stack as well. */
function messageOnly(error: unknown): { message: string } {
  return { message: error instanceof Error ? error.message : String(error) };
}

function parsed(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}

/** Returns the name if an operation has it: for a moment after the document was changed, GraphiQL names one that is gone. */
export function chosenName(document: DocumentNode, name: string | null | undefined): string | undefined {
  return name != null && getOperationAST(document, name) ? name : undefined;
}

/** Returns the chosen operation with its fragments, since the client sends no operation's name; undefined where it is no subscription. */
export function subscriptionIn(document: DocumentNode, operationName: string | undefined): string | undefined {
  const chosen = getOperationAST(document, operationName);
  if (chosen?.operation !== OperationTypeNode.SUBSCRIPTION) return undefined;
  const separate = separateOperations(document)[chosen.name?.value ?? ''];
  return separate && print(separate);
}

/** @param getToken throws UnauthorizedError where there is none. */
export function openPost(getToken: () => string): (operation: Operation) => Promise<ShownResult> {
  return async ({ query, operationName, variables }) => {
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        accept: 'application/graphql-response+json, application/json;q=0.9',
        'content-type': 'application/json',
        authorization: `Bearer ${getToken()}`,
      },
      body: JSON.stringify({ query, variables, operationName }),
    }).catch(() => {
      throw new Error('The server cannot be reached.');
    });
    if (response.status === 401) throw new UnauthorizedError('the session has ended');
    const text = await response.text();
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`The server answered with status ${response.status}, and not with JSON.`);
    }
  };
}
