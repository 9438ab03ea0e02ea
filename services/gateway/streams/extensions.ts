/**
 * The member `extensions` of a `next`, with a comma before it; empty without a cursor. It comes after the members that are
 * shared by all who get the same event: what is in here is the client's own.
 */
export function extensionsMember(cursor: string | undefined, replayed: boolean | undefined): string {
  if (cursor === undefined) return '';
  return `,"extensions":{"cursor":${JSON.stringify(cursor)}${replayed === true ? ',"replayed":true' : ''}}`;
}
