import { type ConnectionError, OperationError } from './errors.ts';
import type { Requests } from './requests.ts';
import { openSubscription, type SubscriptionParts } from './subscription.ts';
import type { LiveItem, Subscription } from './types.ts';

export interface LiveRequest {
  query: string;
  variables?: object | undefined;
  subscription: string;
  subscriptionVariables?: object | undefined;
}

/**
 * Yields a snapshot, then the events behind it; behind a gap a new snapshot. Begins when it is first asked.
 * `next()` rejects with OperationError where the query or the subscription is refused.
 */
export function openLive<Data, EventData>(
  parts: SubscriptionParts & { requests: Requests },
  request: LiveRequest,
): AsyncIterableIterator<LiveItem<Data, EventData>> {
  type Item = LiveItem<Data, EventData>;
  const done = { done: true, value: undefined } as const;
  let events: Subscription<EventData> | undefined;
  let isOver = false;
  /** Ends the next() that waits. No promise of the end is kept: raced with each next(), it would hold every event. */
  let stop = () => {};

  async function nextItem(): Promise<IteratorResult<Item>> {
    while (!isOver) {
      if (events === undefined) return { done: false, value: { snapshot: await fetchSnapshot() } };
      const before = events;
      const result = await events.next();
      if (!result.done) return { done: false, value: { event: result.value } };
      // Where it is not over by a gap, it is over.
      if (before === events) isOver = true;
    }
    return done;
  }

  async function fetchSnapshot(): Promise<{ data: Data; cursor: string }> {
    const { query, variables, subscription, subscriptionVariables } = request;
    const result = await parts.requests.send<Data>({ query, variables });
    const { data, errors, cursor } = result;
    if (errors !== undefined) throw new OperationError(errors);
    if (cursor === undefined) throw new Error('the query reads no view');
    if (!isOver) {
      events = openSubscription(parts, {
        query: subscription,
        variables: subscriptionVariables ?? variables,
        cursor,
        refetch() {
          events = undefined;
        },
      });
    }
    return { data, cursor };
  }

  async function end(): Promise<IteratorResult<Item>> {
    isOver = true;
    stop();
    await events?.return();
    return done;
  }

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        return await new Promise<IteratorResult<Item>>((resolve, reject) => {
          stop = () => resolve(done);
          nextItem().then(resolve, reject);
        });
      } catch (error) {
        // The client has been closed beside it.
        if (isOver || (error as Partial<ConnectionError>).code === 1000) return done;
        await end();
        throw error;
      }
    },
    return: end,
  };
}
