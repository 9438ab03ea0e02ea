import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { changesOf, released, sectionOf } from '../../release/changelog.ts';

const changelog = `# Changelog

## [Unreleased]

### Added

- One thing,
  told on two lines.
- Another.

### Fixed

- A third.

## [0.1.0] - 2026-01-02

### Added

- All.
`;

test('the section of a version ends where that of the next one begins', () => {
  assert.equal(sectionOf(changelog, '0.1.0'), '### Added\n\n- All.');
  assert.equal(sectionOf(changelog)?.endsWith('- A third.'), true);
  assert.equal(sectionOf(changelog, '0.1'), undefined);
});

test('each change is told with its kind, on one line', () => {
  assert.deepEqual(changesOf(sectionOf(changelog) ?? ''), [
    { kind: 'added', description: 'One thing, told on two lines.' },
    { kind: 'added', description: 'Another.' },
    { kind: 'fixed', description: 'A third.' },
  ]);
});

test('a kind that the form does not know is refused, and so is text outside a kind', () => {
  assert.throws(() => changesOf('### Improved\n\n- It.'), /"Improved" is none of Added, Changed/);
  assert.throws(() => changesOf('- It.'), /stands outside/);
  assert.throws(() => changesOf('### Added\n\nIt.'), /stands outside/);
});

test('a release takes all that is unreleased, and leaves the title for what comes', () => {
  const text = released(changelog, '0.2.0', '2026-03-04');
  assert.equal(sectionOf(text), '');
  assert.equal(sectionOf(text, '0.2.0'), sectionOf(changelog));
  assert.match(text, /\n## \[Unreleased\]\n\n## \[0\.2\.0\] - 2026-03-04\n\n### Added\n/);
});

test('the changelog of this project has the form in each of its sections', () => {
  const own = readFileSync(new URL('../../CHANGELOG.md', import.meta.url), 'utf8');
  assert.notEqual(sectionOf(own), undefined);
  const versions = [...own.matchAll(/^## \[(.+?)\](.*)$/gm)];
  for (const [line, version, rest] of versions) {
    if (version !== 'Unreleased') assert.match(rest ?? '', /^ - \d{4}-\d\d-\d\d$/, line);
    if (version !== '0.1.0') assert.doesNotThrow(() => changesOf(sectionOf(own, version) ?? ''), line);
  }
});
