export interface Section {
  title: string;
  commands: string[];
}

/**
 * Returns the numbered steps of a page's section with their shell commands, one for each line of its `sh` blocks; lines that end in a
 * backslash are one command with the next.
 * @throws Error when the page has no such section, or it has no commands.
 */
export function stepsOf(page: string, heading: string): Section[] {
  const [, rest] = page.split(`\n## ${heading}\n`);
  if (rest === undefined) throw new Error(`the page has no section '${heading}'`);
  const [section = ''] = rest.split('\n## ');
  const steps: Section[] = [];
  let block: string[] | undefined;
  for (const line of section.split('\n')) {
    const text = line.trim();
    const [, number, title = ''] = /^(\d+)\. (.*)$/.exec(line) ?? [];
    if (number !== undefined) steps.push({ title: `${number}. ${firstSentence(title)}`, commands: [] });
    else if (text === '```sh') block = [];
    else if (text === '```' && block !== undefined) {
      steps.at(-1)?.commands.push(...joined(block));
      block = undefined;
    } else block?.push(text);
  }
  if (!steps.some(({ commands }) => commands.length > 0)) throw new Error(`'${heading}' has no commands`);
  return steps;
}

function firstSentence(text: string): string {
  return text.replace(/\. .*$/, '').replace(/[.:]$/, '');
}

function joined(lines: readonly string[]): string[] {
  return lines
    .join('\n')
    .replaceAll('\\\n', '\\\n  ')
    .split(/(?<!\\)\n/)
    .filter(line => line !== '');
}
