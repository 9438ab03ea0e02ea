/** How an HTTP answer is written. */
export type AnswerForm = 'application/graphql-response+json' | 'application/json' | 'text/event-stream';

export const answerForms: readonly AnswerForm[] = [
  'application/json',
  'application/graphql-response+json',
  'text/event-stream',
];

interface MediaRange {
  range: string;
  quality: number;
}

/**
 * The forms a client accepts, best first: by quality, then in the client's order; a wildcard stands for all that it
 * covers, `application/json` first. No Accept header accepts everything (RFC 9110, section 12.5.1).
 */
export function acceptedForms(accept: string | undefined): readonly AnswerForm[] {
  if (accept === undefined || accept.trim() === '') return answerForms;
  const ranges = accept.split(',').map(readRange);
  const refused = new Set(ranges.filter(({ quality }) => quality === 0).map(({ range }) => range));
  const forms = ranges
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)
    .flatMap(({ range }) => answerForms.filter(form => covers(range, form) && !refused.has(form)));
  return [...new Set(forms)];
}

function readRange(text: string): MediaRange {
  const [range = '', ...parameters] = text.split(';').map(part => part.trim().toLowerCase());
  const quality = parameters.find(parameter => parameter.startsWith('q='))?.slice(2);
  const value = quality === undefined ? 1 : Number(quality);
  return { range, quality: Number.isFinite(value) ? value : 0 };
}

function covers(range: string, form: AnswerForm): boolean {
  return range === '*/*' || range === form || (range.endsWith('/*') && form.startsWith(range.slice(0, -1)));
}
