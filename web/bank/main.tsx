import { render } from 'preact';
import '../shared/theme.css';
import { LogInForm } from '../shared/log-in-form.tsx';
import { openSession } from '../shared/session.ts';

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');
const session = openSession(sessionStorage);
render(<LogInForm session={session} title="Penstock Bank" />, page);
