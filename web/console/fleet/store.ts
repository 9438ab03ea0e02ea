import { type Client, createClient, OperationError, UnauthorizedError } from '@penstock/client';
import { type ReadonlySignal, signal } from '@preact/signals';
import type { Session } from '../../shared/session.ts';
import { ask } from '../ask.ts';
import { ConsoleDocument, InstancesDocument } from '../graphql/documents.ts';
import { type History, noHistory, withSample } from './history.ts';
import type { FleetView } from './types.ts';
import { type Entry, viewOf } from './view.ts';

/** What the console knows of the fleet, kept up by a stream of Penstock's own. */
export interface Fleet {
  client: Client;
  view: ReadonlySignal<FleetView>;
  history: ReadonlySignal<History>;
  /** Why there is nothing to be seen, and what to do; undefined: there is. */
  trouble: ReadonlySignal<string | undefined>;
  close(): void;
}

/** States come several times a second: they are shown together, ms. */
const showMs = 250;
const sampleMs = 1_000;
/** How often it is asked whether the topic is there by now, ms. */
const lookAgainMs = 5_000;

export function openFleet(session: Session): Fleet {
  const client = createClient({
    // Its schema is beside the app's: `/console/route`, `/console/graphql`.
    url: `${location.origin}/console`,
    getToken: session.getToken,
  });
  const entries = new Map<string, Entry>();
  const clock = { newestMs: 0, atMs: performance.now() };
  const look = () => viewOf(entries.values(), { ...clock, sinceMs: performance.now() - clock.atMs });
  const view = signal(look());
  const history = signal(noHistory);
  const trouble = signal<string>();
  let isClosed = false;
  let pauseTimer: number | undefined;

  const showing = setInterval(() => {
    view.value = look();
  }, showMs);
  const sampling = setInterval(() => {
    if (entries.size > 0) history.value = withSample(history.peek(), look(), Date.now());
  }, sampleMs);
  /** A topic that goes while it is streamed is nothing that the stream would say. */
  const checking = setInterval(() => {
    if (view.peek().instances.every(({ isSilent }) => isSilent)) void check().catch(() => undefined);
  }, lookAgainMs);
  void follow();

  async function check(): Promise<boolean> {
    const { console } = await ask(ConsoleDocument, {}, session.getToken);
    trouble.value = console.available ? undefined : (console.advice ?? 'The topic cannot be read.');
    return console.available;
  }

  /** Asks whether there is a topic, and streams it then. A log that was cut off begins anew by itself. */
  async function follow(): Promise<void> {
    while (!isClosed) {
      try {
        if (await check()) await stream();
      } catch (error) {
        if (error instanceof UnauthorizedError) return session.logOut('Your session has ended: log in again.');
        trouble.value = textOf(error);
      }
      await new Promise(resolve => {
        pauseTimer = setTimeout(resolve, lookAgainMs);
      });
    }
  }

  async function stream(): Promise<void> {
    const states = client.subscribe({ query: InstancesDocument, from: 'earliest' });
    for await (const { data, errors } of states) {
      const state = data?.instances;
      // One that cannot be shown is no reason not to show the others.
      if (!state || errors) continue;
      const publishedMs = Date.parse(state.publishedAt);
      entries.set(state.key, { state, publishedMs });
      if (state.status === 'GONE') entries.delete(state.key);
      if (publishedMs >= clock.newestMs) Object.assign(clock, { newestMs: publishedMs, atMs: performance.now() });
    }
  }

  return {
    client,
    view,
    history,
    trouble,
    close() {
      isClosed = true;
      clearInterval(showing);
      clearInterval(sampling);
      clearInterval(checking);
      clearTimeout(pauseTimer);
      client.close();
    },
  };
}

function textOf(error: unknown): string {
  if (error instanceof OperationError && error.code === 'FORBIDDEN') return 'Your user needs the role operator.';
  return error instanceof Error ? error.message : String(error);
}
