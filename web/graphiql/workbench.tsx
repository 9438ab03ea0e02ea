import { createClient, UnauthorizedError } from '@penstock/client';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { clientState } from '../shared/client-state.ts';
import { Connection } from '../shared/connection.tsx';
import type { LoggedIn, Session } from '../shared/session.ts';
import { examplesOf } from './examples.ts';
import { type Operation, openFetcher, openPost } from './fetcher.ts';
import { isIntrospection, type LoadedSchema, loadSchema } from './schema.ts';
import { editorStorage, forgetEmptyTabs } from './storage.ts';
import { openStreamLog } from './stream.ts';
import { StreamStrip } from './stream-strip.tsx';

const ended = 'Your session has ended. Log in again.';

/** The page of a user who is logged in: the bar, the editor, and what is to be seen of subscriptions. */
export function Workbench({ session, user }: { session: Session; user: LoggedIn }) {
  const place = useRef<HTMLDivElement>(null);
  const fault = useSignal<string>();
  const isLoading = useSignal(true);
  const attempt = useSignal(0);
  const { client, state, log, storage } = useMemo(() => {
    const client = createClient({ url: location.origin, getToken: session.getToken });
    const storage = editorStorage(sessionStorage, user.username);
    return { client, state: clientState(client), log: openStreamLog(client), storage };
  }, [session, user]);

  useEffect(() => {
    client.onState(log.recount);
    return () => client.close();
  }, [client, log]);

  useEffect(() => {
    const editor = openEditor();
    return () => void editor.then(close => close());

    async function openEditor(): Promise<() => void> {
      isLoading.value = true;
      fault.value = undefined;
      const post = openPost(session.getToken);
      const onUnauthorized = () => session.logOut(ended);
      const [loaded, module] = await Promise.all([schema(), import('./editor.ts').catch(() => undefined)]);
      isLoading.value = false;
      if (module === undefined) fault.value = 'The editor cannot be loaded. Check your connection and try again.';
      const element = place.current;
      // Not there any more: the user has logged out meanwhile.
      if (module === undefined || element === null) return () => {};
      /** GraphiQL asks once more for what is there already; when it is told to reload it, it gets a new answer. */
      let given = loaded?.result;
      const fetcher = openFetcher({
        client,
        log,
        onUnauthorized,
        post: async (operation: Operation) => {
          const result = isIntrospection(operation) ? given : undefined;
          given = isIntrospection(operation) ? undefined : given;
          return result ?? post(operation);
        },
      });
      const examples = loaded === undefined ? [] : examplesOf(loaded.schema);
      if (examples.length > 0) forgetEmptyTabs(storage);
      return module.mountEditor(element, { fetcher, storage, examples, hasSchema: loaded !== undefined });

      async function schema(): Promise<LoadedSchema | undefined> {
        try {
          return await loadSchema(post);
        } catch (error) {
          if (error instanceof UnauthorizedError) onUnauthorized();
          else fault.value = error instanceof Error ? error.message : String(error);
          return undefined;
        }
      }
    }
  }, [client, log, session, storage, attempt.value]);

  const logOut = () => {
    storage.end();
    session.logOut();
  };

  return (
    <div class="workbench">
      <header class="bar">
        <h1>Penstock GraphiQL</h1>
        <Connection state={state} />
        <span class="who">{user.username}</span>
        <button class="button quiet" type="button" onClick={logOut}>
          Log out
        </button>
      </header>
      {fault.value && (
        <p class="notice warn fault" role="alert">
          {fault.value}
          <button class="button quiet" type="button" onClick={() => attempt.value++}>
            Try again
          </button>
        </p>
      )}
      <main>
        {isLoading.value && <p class="loading">Loading the editor …</p>}
        <div ref={place} class="editor" />
      </main>
      <StreamStrip stream={log} state={state} />
    </div>
  );
}
