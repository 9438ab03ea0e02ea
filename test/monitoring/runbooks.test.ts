import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue } from '../../lib/ops/catalogue.ts';
import { variablesOf } from '../../lib/ops/config.ts';
import { alerts } from '../../monitoring/rules/index.ts';
import { annotationsOf } from '../../monitoring/rules-file.ts';

const root = join(import.meta.dirname, '../..');
const headings = ['Emergency', 'Investigate', 'Fix'];

/** Returns the parts of a document that begin with a heading of this level, by heading. */
function sectionsOf(text: string, level: number): Map<string, string> {
  const [, ...parts] = text.split(new RegExp(`^#{${level}} `, 'm'));
  return new Map(
    parts.map(part => {
      const [title = '', ...lines] = part.split('\n');
      return [title, lines.join('\n')];
    }),
  );
}

const files = globSync('docs/runbooks/*.md', { cwd: root });
const texts = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]));

test('each alert has a runbook with what to do at once, what to look at and what to mend', () => {
  for (const alert of alerts) {
    const [file = '', anchor] = (annotationsOf(alert).runbook_url ?? '').split('#');
    assert.equal(anchor, alert.name.toLowerCase());
    const section = sectionsOf(texts.get(file) ?? '', 2).get(alert.name);
    assert.ok(section !== undefined, `${file} has no section ${alert.name}`);
    const parts = sectionsOf(section, 3);
    assert.deepEqual([...parts.keys()], headings, alert.name);
    for (const [title, text] of parts) assert.ok(text.trim().length > 20, `${alert.name}: ${title} is empty`);
  }
});

test('each runbook is of an alert', () => {
  const names = alerts.map(({ name }): string => name);
  for (const [file, text] of texts) {
    if (file.endsWith('README.md')) continue;
    assert.deepEqual(
      [...sectionsOf(text, 2).keys()].filter(title => !names.includes(title)),
      [],
      file,
    );
  }
});

test('variables that runbooks name exist, and links in them lead somewhere', () => {
  const known = new Set(variablesOf(catalogue).map(({ name }) => name));
  const slug = (title: string) =>
    title
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-');
  for (const [file, text] of texts) {
    const named = [...text.matchAll(/PENSTOCK_[A-Z0-9_]+(?![A-Z0-9_…]|\\?…)/g)].map(([name]) => name);
    assert.deepEqual(
      named.filter(name => !known.has(name) && !name.endsWith('_')),
      [],
      file,
    );
    for (const [, path = '', anchor] of text.matchAll(/\]\(([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = path === '' ? text : readFileSync(join(root, 'docs/runbooks', path), 'utf8');
      const anchors = [...target.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => slug(title));
      assert.ok(anchor === undefined || anchors.includes(anchor), `${file}: ${path}#${anchor}`);
    }
  }
});
