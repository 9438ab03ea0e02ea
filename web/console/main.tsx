import { render } from 'preact';
import '../shared/theme.css';
import './console.css';
import { openSession } from '../shared/session.ts';
import { App } from './app.tsx';

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');
render(<App session={openSession(sessionStorage)} />, page);
