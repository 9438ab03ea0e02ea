import { type ConnectionError, isFinal, isUnauthorized, messageOf } from './errors.ts';
import { openEventLine } from './event-line.ts';
import type { Http } from './http.ts';
import type { Line } from './line.ts';
import { isOnline, onNetwork } from './network.ts';
import { openSocketLine } from './socket-line.ts';
import { backOffMs, deferred, pause } from './time.ts';
import type { Tokens } from './tokens.ts';
import type { Counters, Status } from './types.ts';

/** A subscription, to the connection that serves it. */
export interface Member {
  /** Goes on over this line. */
  attach(line: Line): void;
  /** Leaves the line that it is on; what comes over that is not taken any more. */
  detach(): void;
  /** No line will come; without an error, because the client is closed. */
  fail(error?: Error): void;
  /** All events from before the subscription have come. */
  readonly isLive: boolean;
}

/** The one connection that all subscriptions share, and those that follow when it is lost. */
export interface Connection {
  add(member: Member): void;
  remove(member: Member): void;
  /** A member has become live, or has ceased to be. */
  changed(): void;
  close(): void;
}

export interface ConnectionOptions {
  http: Http;
  tokens: Tokens;
  /** A constructor; undefined: there are no WebSockets. */
  webSocket: unknown;
  counters: Counters;
  show(status: Status, reason?: string, retryAtMs?: number): void;
}

/** A connection that nobody uses is kept for this long, ms. */
const lingerMs = 1_000;
/** So many WebSockets in a row that are not even accepted, while the router answers: they are taken to be blocked. */
const blockedAfter = 2;
/** They are tried again after this time, ms. */
const blockedMs = 30_000;
/** First delay after a gateway has asked for one (1013), and after all else, ms. */
const firstDelayMs = { asked: 400, other: 50 };

export function openConnection({ http, tokens, webSocket, counters, show }: ConnectionOptions): Connection {
  const members = new Set<Member>();
  const lines = new Set<Line>();
  let current: Line | undefined;
  let isMoving = false;
  let isRunning = false;
  let isClosed = false;
  let refusedWebSockets = 0;
  /** WebSockets count as blocked until then. */
  let blockedUntilMs = 0;
  /** Attempts since a subscription was last served. */
  let attempts = 0;
  let woken = deferred();
  /** Resolves with what has ended the line in use, whichever that is by then. */
  let lost = deferred<ConnectionError>();
  const unlisten = onNetwork(() => {
    // A connection of before may look alive for long.
    if (!isOnline()) current?.close('offline');
    woken.resolve();
  });
  const isWanted = () => members.size > 0 && !isClosed;

  return {
    add(member) {
      members.add(member);
      if (current) member.attach(current);
      if (!isRunning) void run();
      changed();
    },
    remove(member) {
      members.delete(member);
      changed();
      if (members.size === 0) setTimeout(linger, lingerMs);
    },
    changed,
    close() {
      show('closed');
      isClosed = true;
      unlisten();
      for (const line of lines) line.close();
      woken.resolve();
      fail();
    },
  };

  /** Connects, and again when the connection is lost, as long as anybody wants it. */
  async function run(): Promise<void> {
    isRunning = true;
    let reason: string | undefined;
    let isFirst = true;
    while (isWanted()) {
      woken = deferred();
      if (!isOnline()) {
        show('offline');
        await woken.promise;
        continue;
      }
      show('connecting', reason);
      try {
        const line = await connect(Date.now() >= blockedUntilMs);
        if (!isFirst) counters.reconnects++;
        isFirst = false;
        lost = deferred();
        use(line);
        // Whoever wanted it may have left meanwhile.
        linger();
        throw await lost.promise;
      } catch (error) {
        current = undefined;
        for (const member of members) member.detach();
        reason = messageOf(error);
        if (isFinal(error)) {
          isRunning = false;
          show(isUnauthorized(error) ? 'needs-auth' : 'idle', reason);
          return fail(error as Error);
        }
        if (!isWanted() || !isOnline()) continue;
        const { code, retryAfterMs } = Object(error) as Partial<ConnectionError>;
        const ms = Math.max(retryAfterMs ?? 0, backOffMs(attempts++, firstDelayMs[code === 1013 ? 'asked' : 'other']));
        show('connecting', reason, Date.now() + ms);
        await pause(ms, woken.promise);
      }
    }
    isRunning = false;
    show('idle');
  }

  /** @throws ConnectionError; whatever `getToken` throws. */
  async function connect(overWebSocket: boolean): Promise<Line> {
    const token = await tokens.fresh();
    const { url } = await http.post('/route', token, {}, async response => {
      if (!response.ok) throw response.status;
      return (await response.json()) as { url: string };
    });
    const letIn = deferred();
    const isSocket = overWebSocket && webSocket;
    let isOpened = !isSocket;
    const watch = {
      opened() {
        isOpened = true;
        refusedWebSockets = blockedUntilMs = 0;
      },
      letIn: letIn.resolve,
      served() {
        attempts = 0;
      },
      moveAsked() {
        if (line === current) void move();
      },
    };
    const line = open();
    lines.add(line);
    void line.closed.then(error => {
      const { code } = error;
      lines.delete(line);
      if (line === current) lost.resolve(error);
      if (!isOpened && code !== 1000 && ++refusedWebSockets >= blockedAfter) blockedUntilMs = Date.now() + blockedMs;
      tokens.ended(token, code);
    });
    if (isClosed) line.close();
    const error = await Promise.race([letIn.promise, line.closed]);
    if (error) throw error;
    return line;

    function open(): Line {
      try {
        if (isSocket) return openSocketLine(url, token, webSocket, watch);
      } catch {
        // There can be none, as where a page's policy forbids it.
      }
      return openEventLine(http, token, watch);
    }
  }

  function use(line: Line): void {
    current = line;
    for (const member of members) {
      member.detach();
      member.attach(line);
    }
    changed();
    tryWebSocket();
  }

  /** While events come over SSE, looks from time to time whether a WebSocket gets through by now. */
  function tryWebSocket(): void {
    const line = current;
    const again = () => line === current && void move();
    if (!webSocket || !line?.isSse) return;
    const timer = setTimeout(again, Math.max(5_000, blockedUntilMs - Date.now()));
    // In Node it keeps no process.
    (timer as { unref?(): void }).unref?.();
  }

  /** Connects beside the line in use, and leaves that only then. Where it fails, that one goes on. */
  async function move(): Promise<void> {
    if (isMoving) return;
    isMoving = true;
    const before = current;
    try {
      const line = await connect(true);
      if (!before || current !== before) return line.close();
      use(line);
      before.close();
      counters.moves++;
    } catch {
      // The gateway will close the line in use, and all goes its usual way.
      tryWebSocket();
    } finally {
      isMoving = false;
    }
  }

  function linger(): void {
    if (members.size > 0) return;
    current?.close();
    woken.resolve();
  }

  function fail(error?: Error): void {
    for (const member of members) member.fail(error);
    members.clear();
  }

  function changed(): void {
    if (current) show([...members].every(({ isLive }) => isLive) ? 'live' : 'replaying');
  }
}
