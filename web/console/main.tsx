import { render } from 'preact';
import '../shared/theme.css';

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');
render(<h1>Penstock Console</h1>, page);
