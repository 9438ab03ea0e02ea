import semver from 'semver';
import { parseDocument, stringify } from 'yaml';
import { Trouble } from '../dev/stack/trouble.ts';
import { type Change, changesOf, released, sectionOf } from './changelog.ts';

const chartFile = 'helm/penstock/Chart.yaml';
const changelogFile = 'CHANGELOG.md';
const clientFile = 'client/package.json';

/** The files that tell the version. */
export const versionedFiles: readonly string[] = [
  'package.json',
  'package-lock.json',
  clientFile,
  chartFile,
  changelogFile,
];

/** The texts of files by their paths. */
export type Texts = ReadonlyMap<string, string>;

/**
 * Returns the versioned files as they are at a version.
 * @param texts those files as they are now.
 * @param date such as `2026-11-30`.
 * @throws Trouble where the version is none or not greater than that of now, or nothing is unreleased.
 */
export function atVersion(texts: Texts, version: string, date: string): Map<string, string> {
  if (semver.valid(version) !== version) throw new Trouble(`${version} is no version of Semantic Versioning 2.0.0`);
  const now = versionOf(texts);
  if (!semver.gt(version, now)) throw new Trouble(`${version} is not greater than ${now}, the version of package.json`);
  const changelog = textOf(texts, changelogFile);
  if (sectionOf(changelog, version) !== undefined)
    throw new Trouble(`${changelogFile} has a section of ${version} already`);
  const changes = changesIn(changelog);
  return new Map([
    ['package.json', packageAt(textOf(texts, 'package.json'), version)],
    ['package-lock.json', lockAt(textOf(texts, 'package-lock.json'), version)],
    [clientFile, packageAt(textOf(texts, clientFile), version)],
    [chartFile, chartAt(textOf(texts, chartFile), version, changes)],
    [changelogFile, released(changelog, version, date)],
  ]);
}

/** Returns the version that package.json tells. */
export function versionOf(texts: Texts): string {
  return (JSON.parse(textOf(texts, 'package.json')) as { version: string }).version;
}

/** Returns the changelog's section of a version. @throws Trouble where there is none. */
export function notesOf(texts: Texts, version: string): string {
  const section = sectionOf(textOf(texts, changelogFile), version);
  if (!section) throw new Trouble(`${changelogFile} says nothing of ${version}`);
  return section;
}

function changesIn(changelog: string): Change[] {
  const section = sectionOf(changelog);
  if (section === undefined) throw new Trouble(`${changelogFile} has no section [Unreleased]`);
  let changes: Change[];
  try {
    changes = changesOf(section);
  } catch (error) {
    throw new Trouble(`${changelogFile}: ${(error as Error).message}`);
  }
  if (changes.length === 0)
    throw new Trouble(`${changelogFile} has nothing below [Unreleased]: what does the version bring?`);
  return changes;
}

function packageAt(text: string, version: string): string {
  return json({ ...(JSON.parse(text) as object), version });
}

function lockAt(text: string, version: string): string {
  const lock = JSON.parse(text) as { packages: Record<string, object> };
  const ours = ['', 'client'].map(folder => [folder, { ...lock.packages[folder], version }] as const);
  return json({ ...lock, version, packages: { ...lock.packages, ...Object.fromEntries(ours) } });
}

/** The annotations are those of Artifact Hub. */
function chartAt(text: string, version: string, changes: readonly Change[]): string {
  const chart = parseDocument(text);
  chart.set('version', version);
  chart.set('appVersion', version);
  chart.setIn(['annotations', 'artifacthub.io/changes'], stringify(changes, { lineWidth: 0 }));
  const isPrerelease = semver.prerelease(version) !== null;
  chart.setIn(['annotations', 'artifacthub.io/prerelease'], String(isPrerelease));
  return chart.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function textOf(texts: Texts, path: string): string {
  const text = texts.get(path);
  if (text === undefined) throw new Error(`the text of ${path} is missing`);
  return text;
}
