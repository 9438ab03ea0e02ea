/** Hooks for React 18 and later, over `useSyncExternalStore`. */
import { useCallback, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { createStore, type IterationState } from './store.ts';
import type { Client, CommandOptions, Event, LiveItem, LiveOptions, Result, State, SubscribeOptions } from './types.ts';

type Fields = Record<string, unknown>;

/** The client's state: whether it is connected, and why not. */
export function useClientState(client: Client): State {
  const read = () => client.state;
  return useSyncExternalStore(
    useCallback(listener => client.onState(listener), [client]),
    read,
    read,
  );
}

export interface Live<Data> {
  /** The query's result with all events since folded in; undefined before the first snapshot. */
  readonly data: Data | undefined;
  readonly error: unknown;
}

/**
 * A query's result that stays up to date. `apply` folds an event into it; it is pure.
 * Another query, subscription or other variables begin anew; another `apply` alone does not.
 */
export function useLive<
  Data = Fields,
  Variables extends object = Fields,
  EventData = Fields,
  EventVariables extends object = Variables,
>(
  client: Client,
  options: LiveOptions<Data, Variables, EventData, EventVariables> & { apply(data: Data, event: EventData): Data },
): Live<Data> {
  const { value, error } = useIteration<LiveItem<Data, EventData>, Data>(
    () => client.live(options),
    (data, { snapshot, event }) => (snapshot ? snapshot.data : options.apply(data as Data, event.data)),
    [client, options.query, options.subscription, options.variables, options.subscriptionVariables],
  );
  return useMemo(() => ({ data: value, error }), [value, error]);
}

export interface Subscribed<Data> {
  /** The newest events, the last one last. */
  readonly events: readonly Event<Data>[];
  readonly error: unknown;
}

/** The newest events of a subscription, at most `keep` (100). Another query, variables or key begin anew. */
export function useSubscription<Data = Fields, Variables extends object = Fields>(
  client: Client,
  options: SubscribeOptions<Data, Variables> & { keep?: number },
): Subscribed<Data> {
  const { keep = 100, ...request } = options;
  const { value, error } = useIteration<Event<Data>, readonly Event<Data>[]>(
    () => client.subscribe(request),
    (events = [], event) => [...events, event].slice(-keep),
    [client, options.query, options.variables, options.key, options.from, options.cursor],
  );
  return useMemo(() => ({ events: value ?? [], error }), [value, error]);
}

export interface Command<Data, Variables> {
  /** Sends the command; the same one again, until it has its verdict, is the same command. */
  send(variables: Variables, commandId?: string): Promise<Result<Data>>;
  readonly isPending: boolean;
  /** The answer to the last command. */
  readonly result: Result<Data> | undefined;
  readonly error: unknown;
}

export function useCommand<Data = Fields, Variables extends object = Fields>(
  client: Client,
  query: CommandOptions<Data, Variables>['query'],
): Command<Data, Variables> {
  const [state, setState] = useState<{ result?: Result<Data>; error?: unknown; isPending: boolean }>({
    isPending: false,
  });
  const last = useRef(0);
  const text = String(query);
  const send = useCallback(
    async (variables: Variables, commandId?: string) => {
      const number = ++last.current;
      const show = (next: typeof state) => {
        if (number === last.current) setState(next);
      };
      show({ isPending: true });
      try {
        const options = { query: text, variables, ...(commandId !== undefined && { commandId }) };
        const result = await client.command<Data, Variables>(options);
        show({ result, isPending: false });
        return result;
      } catch (error) {
        show({ error, isPending: false });
        throw error;
      }
    },
    [client, text],
  );
  const { isPending, result, error } = state;
  return useMemo(() => ({ send, isPending, result, error }), [send, isPending, result, error]);
}

/** An iteration that lasts as long as the component, and as what it is made of stays the same as JSON. */
function useIteration<Item, Value>(
  begin: () => AsyncIterableIterator<Item>,
  fold: (value: Value | undefined, item: Item) => Value,
  [client, ...parts]: readonly unknown[],
): IterationState<Value> {
  const latest = useRef({ begin, fold });
  latest.current = { begin, fold };
  const key = JSON.stringify(parts.map(part => (typeof part === 'string' ? part : part && JSON.stringify(part))));
  // What it is made of is in the key.
  const store = useMemo(
    () =>
      createStore<Item, Value>(
        () => latest.current.begin(),
        (value, item) => latest.current.fold(value, item),
      ),
    [client, key],
  );
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
}
