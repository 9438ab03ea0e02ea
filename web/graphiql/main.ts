import '../shared/theme.css';

const page = document.getElementById('page');
if (page === null) throw new Error('the page has no element #page');
page.textContent = 'GraphiQL';
