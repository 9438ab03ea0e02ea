import { effect, signal, untracked } from '@preact/signals';
import { render } from 'preact';
import '../shared/theme.css';
import './bank.css';
import { openSession } from '../shared/session.ts';
import { type Bank, openBank } from './model/bank.ts';
import { App } from './view/app.tsx';

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');

const session = openSession(sessionStorage);
const bank = signal<Bank>();

effect(() => {
  const user = session.user.value;
  if (user === undefined) return undefined;
  const opened = untracked(() =>
    openBank({ url: location.origin, user, session, storage: localStorage, nowMs: Date.now }),
  );
  bank.value = opened;
  return () => {
    bank.value = undefined;
    opened.close();
  };
});

render(<App session={session} bank={bank} />, page);
