import { useComputed } from '@preact/signals';
import { LogInForm } from '../shared/log-in-form.tsx';
import type { Session } from '../shared/session.ts';
import { Dashboard } from './dashboard.tsx';

const role = 'operator';

export function App({ session }: { session: Session }) {
  const isOperator = useComputed(() => session.user.value?.roles.includes(role) === true);
  const user = session.user.value;
  if (user === undefined) {
    return (
      <main class="centred">
        <LogInForm session={session} title="Penstock Console">
          <p class="soft">For users with the role operator.</p>
        </LogInForm>
      </main>
    );
  }
  // Another user is another dashboard.
  if (isOperator.value) return <Dashboard key={user.accessToken} session={session} username={user.username} />;
  return (
    <main class="centred">
      <div class="card log-in">
        <h1>Penstock Console</h1>
        <p class="notice warn">
          The user {user.username} does not have the role {role}.
        </p>
        <button class="button" type="button" onClick={() => session.logOut()}>
          Log out
        </button>
      </div>
    </main>
  );
}
