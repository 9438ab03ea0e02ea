/**
 * Events of GraphQL over SSE, distinct connections mode
 * (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md), with cursors as event ids.
 * `result` is JSON text and so holds no line break. Cursors hold none either.
 */
export function nextEvent(result: string, cursor: string | undefined): string {
  return `event: next\n${idLine(cursor)}data: ${result}\n\n`;
}

/**
 * Moves the client's last event id while nothing matches, and keeps the connection from idling out. `live`: all records
 * from before the subscription have been sent.
 */
export function pingEvent(cursor: string | undefined, live: boolean): string {
  return `event: ping\n${idLine(cursor)}data: ${live ? '{"live":true}' : '{}'}\n\n`;
}

export const completeEvent = 'event: complete\ndata: \n\n';

function idLine(cursor: string | undefined): string {
  return cursor === undefined ? '' : `id: ${cursor}\n`;
}
