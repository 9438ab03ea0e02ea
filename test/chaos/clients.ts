import type { Random } from '../proof/random.ts';
import { logIn } from '../support/log-in.ts';
import { streamEvents } from '../support/sse-client.ts';
import { openStockUser } from '../support/stock-client.ts';
import { openUser, type User } from '../support/user.ts';
import { Client, type Line } from './client.ts';
import type { Diary } from './diary.ts';
import { type Field, type Ids, Numbers, type Recording } from './evidence.ts';
import type { ClientControl } from './faults/types.ts';

export interface Clients extends ClientControl {
  recordings: readonly Recording[];
  /** By user key: the one connection of each that also sends commands. */
  users: ReadonlyMap<string, User>;
  close(): Promise<void>;
}

export interface ClientPlan {
  url: string;
  /** Prefix of the user keys. */
  name: string;
  /** Connections, of which a few are the auditor's. */
  clients: number;
  diary: Diary;
  ids: Ids;
}

/** Connections of one user key, all with the same records: that is how deliveries multiply. */
const connectionsPerUser = 5;

export function usersOf(clients: number): { auditors: number; users: number } {
  const auditors = Math.max(2, Math.round(clients * 0.03));
  return { auditors, users: Math.max(1, Math.floor((clients - auditors) / connectionsPerUser)) };
}

/** Opens all clients and begins their streams at the beginning of the log. */
export async function openClients({ url, name, clients: count, diary, ids }: ClientPlan): Promise<Clients> {
  const { auditors, users: userCount } = usersOf(count);
  const users = new Map<string, User>();
  const all: Client[] = [];
  /** Those that a fault may take off: not the ones that send commands. */
  const idle: Client[] = [];

  const record = (client: string, user: string, field: Field): Recording => ({
    ...{ client, user, field, ids: new Numbers(), arrivedMs: new Numbers(), endings: [], away: [] },
  });
  const watch = (client: string) => ({
    connected: () => diary.note(client, 'connected'),
    closed: (code: number, reason: string) => diary.note(client, `closed ${code} ${reason}`),
  });
  /** Every other one is a stock client, which moves when it is closed, and sends its commands over the WebSocket. */
  const overWebSocket = (client: string, user: string, accessToken: string, nth: number) => (): Promise<User> =>
    (nth % 2 === 0 ? openUser : openStockUser)(url, user, { accessToken, watch: watch(client) });
  const overSse = (client: string, user: string, accessToken: string) => async (): Promise<Line> => {
    const tokens = { current: accessToken, renew: () => logIn(url, user) };
    const streams: ReturnType<typeof streamEvents>[] = [];
    return {
      subscribe(payload, listener) {
        const stream = streamEvents(url, tokens, payload, listener, watch(client));
        streams.push(stream);
        return stream;
      },
      stopReading() {
        const goOn = streams.map(stream => stream.stopReading());
        return () => {
          for (const resume of goOn) resume();
        };
      },
      async close() {
        for (const stream of streams) stream.stop();
      },
    };
  };

  async function add(streams: readonly Recording[], open: () => Promise<Line>, mayLeave: boolean) {
    const one = new Client(streams, open, diary, ids);
    all.push(one);
    if (mayLeave) idle.push(one);
    await one.start();
  }

  for (let index = 0; index < userCount; index++) {
    const user = `${name}-${index}`;
    const token = await logIn(url, user);
    for (let nth = 0; nth < connectionsPerUser; nth++) {
      const client = `${user}/${nth}`;
      if (nth === connectionsPerUser - 1 && index % 2 === 1) {
        await add([record(client, user, 'ticks')], overSse(client, user, token), true);
        continue;
      }
      const open = overWebSocket(client, user, token, index + nth);
      const streams = [record(client, user, 'ticks'), record(client, user, 'transactions')];
      await add(streams, nth > 0 ? open : async () => remember(user, await open()), nth > 0);
    }
  }
  const token = await logIn(url, 'auditor');
  for (let nth = 0; nth < auditors; nth++) {
    const client = `auditor/${nth}`;
    if (nth % 3 === 1) await add([record(client, 'auditor', 'allTicks')], overSse(client, 'auditor', token), true);
    else {
      const streams = [record(client, 'auditor', 'allTicks'), record(client, 'auditor', 'ledger')];
      await add(streams, overWebSocket(client, 'auditor', token, nth), true);
    }
  }

  function remember(name: string, user: User): User {
    users.set(name, user);
    return user;
  }

  const drawn = (random: Random, wanted: number): Client[] => {
    const left = [...idle];
    return Array.from({ length: Math.ceil(Math.min(wanted, left.length)) }, () =>
      left.splice(random.integer(0, left.length - 1), 1),
    ).flat();
  };
  /** Marks the recordings of clients that did not listen; returns what ends it. */
  const absent = (some: readonly Client[]) => {
    const spans = some.flatMap(({ recordings }) =>
      recordings.map(({ away }) => {
        const span = { fromMs: diary.now(), toMs: Number.POSITIVE_INFINITY };
        away.push(span);
        return span;
      }),
    );
    return () => {
      for (const span of spans) span.toMs = diary.now();
    };
  };

  return {
    recordings: all.flatMap(({ recordings }) => recordings),
    users,
    keys: [...users.keys()],
    idle: idle.length,
    stopReading(random, wanted) {
      const some = drawn(random, wanted);
      const back = absent(some);
      const goOn = some.map(client => client.stopReading());
      return {
        users: [...new Set(some.flatMap(({ recordings }) => recordings.map(({ user }) => user)))],
        goOn() {
          for (const resume of goOn) resume();
          back();
        },
      };
    },
    async leave(random, wanted) {
      const some = drawn(random, wanted);
      const back = absent(some);
      await Promise.all(some.map(client => client.leave()));
      return () => {
        for (const client of some) void client.start();
        back();
      };
    },
    async close() {
      await Promise.all(all.map(client => client.leave()));
    },
  };
}
