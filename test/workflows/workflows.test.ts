import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };

interface Job {
  uses?: string;
  needs?: string[];
  permissions?: object;
  'timeout-minutes'?: number;
  steps?: { uses?: string; run?: string }[];
}

const folder = join(import.meta.dirname, '../../.github/workflows');
const workflows = readdirSync(folder).map(name => {
  const text = readFileSync(join(folder, name), 'utf8');
  return { name, text, ...(parse(text) as { permissions?: object; jobs: Record<string, Job> }) };
});
const jobs = workflows.flatMap(({ name, jobs }) =>
  Object.entries(jobs).map(([id, job]) => ({ at: `${name} ${id}`, ...job })),
);

test('a workflow uses each action at a commit, with its version beside it', () => {
  const used = workflows.flatMap(({ text }) => [...text.matchAll(/uses: (.*)$/gm)].map(match => match[1] ?? ''));
  assert.ok(used.length > 10);
  const pinned = /^(\.\/\.github\/workflows\/[a-z]+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+(\.\d+\.\d+)?)$/;
  assert.deepEqual(
    used.filter(action => !pinned.test(action)),
    [],
  );
});

test('an action is used at one commit in all workflows', () => {
  const commits = new Map<string, Set<string>>();
  for (const { text } of workflows)
    for (const [, action = '', commit = ''] of text.matchAll(/uses: (\S+)@(\w+)/g))
      commits.set(action, (commits.get(action) ?? new Set()).add(commit));
  assert.deepEqual(
    [...commits].filter(([, found]) => found.size > 1).map(([action]) => action),
    [],
  );
});

test('a job says what it may do and how long it may take, and needs jobs that are there', () => {
  for (const { at, uses, permissions, 'timeout-minutes': minutes } of jobs)
    if (uses === undefined) assert.ok(minutes !== undefined && minutes <= 60, at);
    else assert.ok(permissions !== undefined, at);
  for (const { name, permissions, jobs: own } of workflows) {
    assert.ok(permissions !== undefined, name);
    for (const needed of Object.values(own).flatMap(({ needs = [] }) => needs)) assert.ok(needed in own, needed);
  }
});

test('a workflow runs scripts that are there, and names no registry', () => {
  for (const { name, text } of workflows) {
    for (const [, script = ''] of text.matchAll(/npm run ([\w:-]+)/g)) assert.ok(script in packageJson.scripts, script);
    assert.doesNotMatch(text, /\b[\w-]+\.(io|com|org|dev|net)\b/, name);
  }
});
