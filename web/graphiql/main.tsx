import { render } from 'preact';
import '../shared/theme.css';
import './graphiql.css';
import { LogInForm } from '../shared/log-in-form.tsx';
import { openSession, type Session } from '../shared/session.ts';
import { Workbench } from './workbench.tsx';

function Page({ session }: { session: Session }) {
  const user = session.user.value;
  // Another user gets another editor: nothing of what the last one has done is left in it.
  if (user !== undefined) return <Workbench key={user.accessToken} session={session} user={user} />;
  return (
    <main class="entrance">
      <LogInForm session={session} title="Penstock GraphiQL">
        <p class="soft">Queries, commands and live subscriptions, with your own account.</p>
      </LogInForm>
    </main>
  );
}

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');
render(<Page session={openSession(sessionStorage)} />, page);
