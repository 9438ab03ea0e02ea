import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { LogInError, type Session } from './session.ts';

export interface LogInFormProps {
  session: Session;
  title: string;
  /** What stands between the title and the fields. */
  children?: ComponentChildren;
}

/** The form to log in with: fields `Username` and `Password`, button `Log in`. */
export function LogInForm({ session, title, children }: LogInFormProps) {
  const isPending = useSignal(false);
  const fault = useSignal<string>();

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isPending.value || !(event.currentTarget instanceof HTMLFormElement)) return;
    const fields = new FormData(event.currentTarget);
    isPending.value = true;
    fault.value = undefined;
    try {
      await session.logIn(String(fields.get('username')).trim(), String(fields.get('password')));
    } catch (error) {
      fault.value = error instanceof LogInError ? error.message : 'Log-in failed.';
    } finally {
      isPending.value = false;
    }
  };

  return (
    <form class="card log-in" onSubmit={submit} aria-labelledby="log-in-title">
      <h1 id="log-in-title">{title}</h1>
      {children}
      {session.endedBecause.value && <p class="notice warn">{session.endedBecause}</p>}
      <div class="field">
        <label for="username">Username</label>
        <input
          id="username"
          name="username"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
        />
      </div>
      <div class="field">
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
      </div>
      <p role="alert" class={fault.value === undefined ? '' : 'notice bad'}>
        {fault}
      </p>
      <button class="button" type="submit" disabled={isPending.value}>
        {isPending.value ? 'Logging in …' : 'Log in'}
      </button>
    </form>
  );
}
