/** The changelog in the form of Keep a Changelog 1.1.0: sections of versions, in them sections of kinds, in them a list of changes. */

/** The kinds that Keep a Changelog knows; Artifact Hub takes the same words in lower case. */
const kinds = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];

export interface Change {
  /** In lower case, such as `added`. */
  kind: string;
  /** Without line breaks. */
  description: string;
}

const unreleased = 'Unreleased';

/** Returns what stands below the title of a version, or undefined where there is no such title. */
export function sectionOf(changelog: string, version: string = unreleased): string | undefined {
  const lines = changelog.split('\n');
  const from = lines.findIndex(line => isTitleOf(line, version));
  if (from < 0) return undefined;
  const length = lines.slice(from + 1).findIndex(line => line.startsWith('## '));
  return lines
    .slice(from + 1, length < 0 ? undefined : from + 1 + length)
    .join('\n')
    .trim();
}

/** Returns the changes of a version's section. @throws Error for a kind that the form doesn't know, and for text that stands outside a kind. */
export function changesOf(section: string): Change[] {
  const changes: Change[] = [];
  let kind: string | undefined;
  for (const line of section.split('\n')) {
    const [, title] = /^### (.+)$/.exec(line) ?? [];
    if (title !== undefined && !kinds.includes(title)) throw new Error(`"${title}" is none of ${kinds.join(', ')}`);
    if (title !== undefined) kind = title.toLowerCase();
    else if (line.startsWith('- ') && kind !== undefined) changes.push({ kind, description: line.slice(2).trim() });
    else if (line.startsWith('  ') && changes.length > 0) continueLast(changes, line.trim());
    else if (line.trim() !== '') throw new Error(`"${line}" stands outside the list of a kind`);
  }
  return changes;
}

/** Returns the changelog in which what is unreleased has become the section of a version. @param date such as `2026-11-30`. */
export function released(changelog: string, version: string, date: string): string {
  return changelog
    .split('\n')
    .flatMap(line => (isTitleOf(line, unreleased) ? [line, '', `## [${version}] - ${date}`] : [line]))
    .join('\n');
}

function isTitleOf(line: string, version: string): boolean {
  return line === `## [${version}]` || line.startsWith(`## [${version}] - `);
}

function continueLast(changes: Change[], text: string): void {
  const last = changes.pop();
  if (last !== undefined) changes.push({ ...last, description: `${last.description} ${text}` });
}
