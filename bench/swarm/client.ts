import { isFinal, type RetryWait } from './retry.ts';
import { type Address, openWire, post, type Wire } from './wire.ts';

/** A record as the swarm's producer makes it. */
interface SwarmRecord {
  n: number;
  atMs: number;
}

/**
 * A resuming client of the stock protocol: asks the router where to go at each connect, keeps its stream's newest
 * cursor, sends it with the next subscribe, and comes back after whatever graphql-ws comes back after.
 */
export interface SwarmClient {
  readonly seen: Seen;
  /** Stops reading, or goes on. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface SwarmClientOptions {
  address: Address;
  accessToken: string;
  retryWait: RetryWait;
  /** To a gateway itself, without asking a router for the way. */
  direct: boolean;
  /** Of a record only its number is looked at: a client that costs next to nothing. */
  countOnly: boolean;
  /** Asked for besides the number and the time. */
  padding: boolean;
  /** Connection tries and their ends are counted here, for all clients: `closed 1006`, `route 503`, … */
  count(what: string): void;
  /** Its stream is open and its position known: the first ping has come. */
  live(): void;
  /** `record` is undefined where only its number was looked at. */
  record(record: SwarmRecord | undefined): void;
}

/** What it has got. */
export interface Seen {
  /** Number of the last record. */
  last: number;
  records: number;
  /** Records that were left out before a later one; one that comes after all is counted as twice. */
  lost: number;
  twice: number;
}

const pong = '{"type":"pong"}';

export function openSwarmClient(options: SwarmClientOptions): SwarmClient {
  const { address, accessToken, retryWait, count } = options;
  const query = `subscription { records { n atMs${options.padding ? ' padding' : ''} } }`;
  const seen: Seen = { last: 0, records: 0, lost: 0, twice: 0 };
  let cursor: string | undefined;
  /** The last record that was only counted: its cursor is looked at when it is needed. */
  let unread: string | undefined;
  let wire: Wire | undefined;
  let attempt = 0;
  let generation = 0;
  let closed = false;
  let paused = false;
  let timer: NodeJS.Timeout | undefined;
  void connect();
  return {
    seen,
    pause() {
      paused = true;
      wire?.pause();
    },
    resume() {
      paused = false;
      wire?.resume();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      wire?.destroy();
    },
  };

  async function connect(): Promise<void> {
    if (options.direct) {
      dial('/graphql');
      return;
    }
    try {
      const answer = await post(address, '/route', accessToken);
      if (answer.status !== 200) {
        count(`route ${answer.status}`);
        return again(answer.retryAfterMs);
      }
      const { url } = JSON.parse(answer.body) as { url: string };
      if (!closed) dial(url.slice(url.indexOf('/graphql')));
    } catch (error) {
      count(`route ${codeOf(error)}`);
      again();
    }
  }

  function dial(path: string): void {
    let isLive = false;
    const head = `{"id":"${generation + 1}","type":"next","payload":{"data":{"records":{"n":`;
    wire = openWire(address, path, {
      opened: () => wire?.send(JSON.stringify({ type: 'connection_init', payload: { accessToken } })),
      message: text => message(text),
      closed(code, _reason, refused) {
        wire = undefined;
        if (unread !== undefined) cursor = JSON.parse(unread).payload.extensions?.cursor ?? cursor;
        unread = undefined;
        if (closed) return;
        count(`${refused ? 'refused' : isLive ? 'closed' : 'closed early'} ${code}`);
        if (isFinal(code)) count('gave up');
        else again();
      },
    });

    function message(text: string): void {
      if (options.countOnly && text.startsWith(head)) {
        unread = text;
        see(numberAt(text, head.length));
        options.record(undefined);
        return;
      }
      const { type, payload } = JSON.parse(text);
      if (type === 'next') next(payload);
      else if (type === 'ping') {
        wire?.send(pong);
        cursor = payload?.cursors?.[String(generation)] ?? cursor;
        if (isLive) return;
        isLive = true;
        attempt = 0;
        options.live();
      } else if (type === 'connection_ack') {
        const extensions = cursor === undefined ? {} : { cursor };
        generation += 1;
        wire?.send(JSON.stringify({ id: String(generation), type: 'subscribe', payload: { query, extensions } }));
        if (paused) wire?.pause();
      } else if (type === 'error') count(`error ${payload?.[0]?.extensions?.code}`);
    }
  }

  function next(payload: { data?: { records?: SwarmRecord }; extensions?: { cursor?: string } }): void {
    const record = payload.data?.records;
    if (record === undefined) {
      count('a next without data');
      return;
    }
    cursor = payload.extensions?.cursor ?? cursor;
    see(record.n);
    options.record(record);
  }

  function see(n: number): void {
    seen.records += 1;
    if (n <= seen.last) seen.twice += 1;
    else {
      // Its first record is wherever the stream began.
      if (seen.last > 0) seen.lost += n - seen.last - 1;
      seen.last = n;
    }
  }

  function again(notBeforeMs = 0): void {
    if (closed) return;
    timer = setTimeout(() => void connect(), Math.max(notBeforeMs, retryWait(attempt++)));
  }
}

/** The digits from here on. */
function numberAt(text: string, start: number): number {
  let value = 0;
  for (let at = start; ; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return value;
    value = value * 10 + digit;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
