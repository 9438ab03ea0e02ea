import { type ReadonlySignal, useSignal } from '@preact/signals';
import type { Session } from '../../shared/session.ts';
import { ask } from '../ask.ts';
import type { FleetView } from '../fleet/types.ts';
import { count } from '../format.ts';
import { SessionsDocument, type SessionsQuery } from '../graphql/documents.ts';

interface Found extends Pick<SessionsQuery, 'sessions'> {
  user: string;
}

/** From a user to the partition, its owner, and the sessions that end there. */
export function LookUp({ view, session }: { view: ReadonlySignal<FleetView>; session: Session }) {
  const found = useSignal<Found>();
  const fault = useSignal<string>();
  const isPending = useSignal(false);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isPending.value || !(event.currentTarget instanceof HTMLFormElement)) return;
    const user = String(new FormData(event.currentTarget).get('user')).trim();
    isPending.value = true;
    fault.value = undefined;
    try {
      // Any gateway knows the partition; its owner knows the sessions.
      const { sessions } = await ask(SessionsDocument, { user }, session.getToken);
      found.value = { user, ...(await ask(SessionsDocument, { user }, session.getToken, sessions.partition)) };
    } catch (error) {
      found.value = undefined;
      fault.value = error instanceof Error ? error.message : String(error);
    } finally {
      isPending.value = false;
    }
  };

  return (
    <section class="card">
      <h2>Look up a user</h2>
      <form class="row" onSubmit={submit}>
        <div class="field">
          <label for="look-up-user">User</label>
          <input id="look-up-user" name="user" autocomplete="off" autocapitalize="none" spellcheck={false} required />
        </div>
        <button class="button" type="submit" disabled={isPending.value}>
          Find
        </button>
      </form>
      <div role="status">
        {fault.value !== undefined && <p class="notice bad">{fault}</p>}
        {found.value !== undefined && <Answer found={found.value} view={view} />}
      </div>
    </section>
  );
}

function Answer({ found, view }: { found: Found; view: ReadonlySignal<FleetView> }) {
  const { user, sessions } = found;
  const row = view.value.partitions[sessions.partition];
  const isOwner = sessions.tenure === 'OWNED';
  return (
    <dl class="facts">
      <dt>User</dt>
      <dd>{user}</dd>
      <dt>Partition</dt>
      <dd>{sessions.partition}</dd>
      <dt>Owner</dt>
      <dd>{row?.owner ?? 'unknown'}</dd>
      <dt>Sessions</dt>
      <dd>
        {count(sessions.connections)}{' '}
        <span class="soft">
          at {sessions.instance}, which {isOwner ? 'owns' : 'does not own'} the partition
          {isOwner ? '' : ': others may serve the user'}
        </span>
      </dd>
    </dl>
  );
}
