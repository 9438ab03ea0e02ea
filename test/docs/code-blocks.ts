/** A fenced block of a Markdown document whose first line names a file: "```ts src/main.ts". */
export interface CodeBlock {
  file: string;
  code: string;
}

export function codeBlocks(markdown: string): CodeBlock[] {
  return [...markdown.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)].map(([, file = '', code = '']) => ({ file, code }));
}
