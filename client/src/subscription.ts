import type { Connection, Member } from './connection.ts';
import { isPassing, OperationError } from './errors.ts';
import { openInbox } from './inbox.ts';
import type { Line, WireResult } from './line.ts';
import { openStoredPosition } from './position.ts';
import { randomId, type UserStorage } from './storage.ts';
import { backOffMs } from './time.ts';
import type { Counters, Event, Gap, GapAnswer, GraphqlError, Subscription } from './types.ts';

export interface SubscriptionParts {
  connection: Connection;
  storage: UserStorage;
  counters: Counters;
  onGap(gap: Gap): GapAnswer | Promise<GapAnswer>;
}

export interface SubscriptionRequest {
  query: string;
  variables?: object | undefined;
  from?: string | undefined;
  cursor?: string | undefined;
  key?: string | undefined;
  /** In place of going on behind a gap for which the application has answered `refetch`; then the subscription is over. */
  refetch?(): void;
}

/** An event that waits for the consumer, or is being dealt with. */
interface Item<Data> {
  readonly event: Event<Data>;
  /** The position when the consumer has dealt with it: that of a later ping, where nothing came in between. */
  settled: string | undefined;
}

/**
 * Events that wait for a slow consumer. With more, the subscription is left, and taken up again by its cursor when the consumer has come
 * down to the lower number: the log waits in its place.
 */
const waiting = { most: 1_000, resume: 250 };

/** Subscribes at once. What comes waits for the consumer. */
export function openSubscription<Data>(parts: SubscriptionParts, request: SubscriptionRequest): Subscription<Data> {
  const { connection, storage, counters } = parts;
  const stored = request.key ? openStoredPosition(storage, request.key) : undefined;
  /** The one that the consumer deals with. */
  let given: Item<Data> | undefined;
  /** Behind those that he has dealt with. */
  let position: string | undefined;
  const settle = (cursor = position) => {
    position = cursor;
    if (cursor) stored?.save(cursor);
  };
  const inbox = openInbox<Item<Data>>(item => {
    given = item;
    counters.delivered++;
    if (item.event.replayed) counters.replayed++;
    if (inbox.size() <= waiting.resume) feed.resume();
  });
  const feed = openFeed(
    parts,
    { ...request, stored },
    {
      next: (result, gap) => {
        const { data, errors, extensions: { cursor, replayed = false } = {} } = result;
        const event = { data: data as Data, ...(errors && { errors }), cursor, replayed, ...(gap && { gap }) };
        inbox.push({ event, settled: cursor });
        if (inbox.size() >= waiting.most && cursor) feed.pause();
      },
      moved(cursor) {
        const last = inbox.last() ?? given;
        if (last) last.settled = cursor;
        else settle(cursor);
      },
      over(error) {
        inbox.end(error);
        connection.remove(feed);
      },
    },
  );
  connection.add(feed);
  return {
    get cursor() {
      return position;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      // Whoever asks for more is done with what he had.
      settle(given?.settled);
      given = undefined;
      const { done, value } = await inbox.next();
      return done ? { done, value } : { done: false, value: value.event };
    },
    async return() {
      inbox.clear();
      given = undefined;
      feed.fail();
      return { done: true, value: undefined };
    },
  };
}

interface FeedWatch {
  next(result: WireResult, gap: true | undefined): void;
  moved(cursor: string): void;
  over(error?: Error): void;
}

interface Feed extends Member {
  isLive: boolean;
  /** Leaves, until `resume`. */
  pause(): void;
  resume(): void;
}

type FeedRequest = SubscriptionRequest & { stored: ReturnType<typeof openStoredPosition> | undefined };

/** The side towards the servers: whichever line there is, goes on behind what has come. */
function openFeed({ connection, counters, onGap }: SubscriptionParts, request: FeedRequest, watch: FeedWatch): Feed {
  const { query, variables, from, stored, refetch } = request;
  /** Behind the newest event or ping that has come. */
  let { cursor } = request;
  /** The stored cursor is not known yet: the user is known only with the first connection. */
  let mayLoad = stored && !cursor;
  /** The cursor is from storage, and nothing has come since. */
  let isStored = false;
  let id = randomId();
  let line: Line | undefined;
  let leave = () => {};
  let isPaused = false;
  /** The next position is being decided. */
  let isHeld = false;
  let isOver = false;
  let gap: true | undefined;
  let refusals = 0;
  const feed: Feed = {
    isLive: false,
    attach(given) {
      line = given;
      go();
    },
    detach() {
      line = undefined;
      stop();
    },
    fail: over,
    pause() {
      isPaused = true;
      leave();
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      // What the old one sends yet is not taken.
      id = randomId();
      go();
    },
  };
  return feed;

  function stop(): void {
    feed.isLive = false;
    leave();
  }

  function go(): void {
    if (!line || isPaused || isHeld || isOver) return;
    if (mayLoad) return void load(line);
    let isHere = true;
    const extensions = cursor ? { cursor } : from ? { from } : {};
    const end = line.subscribe(
      id,
      { query, variables, extensions },
      {
        next: result => isHere && take(result),
        ping: (moved, live) => isHere && pinged(moved, live),
        error: errors => isHere && void refused(errors).catch(over),
        complete: () => isHere && over(),
      },
    );
    leave = () => {
      isHere = false;
      end();
    };
  }

  async function load(on: Line): Promise<void> {
    const found = await stored?.load().catch(() => undefined);
    if (mayLoad) cursor = found ?? undefined;
    mayLoad = false;
    isStored = !!cursor;
    if (on === line) go();
  }

  function take(result: WireResult): void {
    const { extensions = {} } = result;
    cursor = extensions.cursor ?? cursor;
    served();
    watch.next(result, gap);
    gap = undefined;
    // A gateway of an earlier release does not say when the replay is over.
    if (!extensions.replayed) live();
  }

  function pinged(moved: string | undefined, isLive: boolean): void {
    served();
    if (moved) watch.moved((cursor = moved));
    if (isLive) live();
  }

  function served(): void {
    refusals = 0;
    isStored = false;
  }

  function live(): void {
    if (feed.isLive) return;
    feed.isLive = true;
    connection.changed();
  }

  async function refused(errors: readonly GraphqlError[]): Promise<void> {
    stop();
    const { code, earliest } = errors[0]?.extensions ?? {};
    if (code === 'CURSOR_EXPIRED' && earliest) {
      counters.gaps++;
      isHeld = true;
      const answer = await onGap({ query, variables, earliest: String(earliest) });
      isHeld = false;
      if (answer === 'throw') throw new OperationError(errors);
      if (answer === 'refetch' && refetch) {
        refetch();
        return over();
      }
      cursor = String(earliest);
      gap = true;
      return go();
    }
    if (isPassing(errors)) {
      const here = line;
      setTimeout(() => here === line && go(), backOffMs(refusals++, 200));
      return;
    }
    // Kept, it would refuse every later start as well.
    if (code === 'CURSOR_INVALID' && isStored) stored?.drop();
    throw new OperationError(errors);
  }

  function over(error?: Error): void {
    if (isOver) return;
    isOver = true;
    line = undefined;
    stop();
    watch.over(error);
  }
}
