import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { PenstockError } from '../../lib/errors.ts';

/** The one sub-protocol that is spoken here. */
export const subProtocol = 'graphql-transport-ws';

export interface WsRefusals {
  /**
   * Accepts the upgrade and closes it with a code: stock clients retry a close, never a refused upgrade. A request that
   * is no WebSocket handshake gets its HTTP error.
   */
  refuse(request: IncomingMessage, socket: Duplex, head: Buffer, code: number, reason: string): void;
}

/** How long a refused client may take to answer the close frame, ms. */
const closeTimeoutMs = 2_000;

export function wsRefusals(): WsRefusals {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: 65_536,
    // A browser does not get to see the close code unless one of its sub-protocols is chosen.
    handleProtocols: protocols => (protocols.has(subProtocol) ? subProtocol : ([...protocols][0] ?? false)),
  });
  server.on('wsClientError', (error, socket) => endWithError(socket, 400, error.message));
  return {
    refuse(request, socket, head, code, reason) {
      if (socket.destroyed) return;
      server.handleUpgrade(request, socket, head, client => {
        const timer = setTimeout(() => client.terminate(), closeTimeoutMs);
        client.on('error', () => undefined);
        client.on('close', () => clearTimeout(timer));
        client.close(code, reason);
      });
    },
  };
}

/** An HTTP error straight onto a socket, where there is no response object (any more). */
export function endWithError(socket: Duplex, status: number, why: string | PenstockError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { message, code, extensions } = typeof why === 'string' ? new PenstockError('BAD_USER_INPUT', why) : why;
  const body = `${JSON.stringify({ errors: [{ message, extensions: { ...extensions, code } }] })}\n`;
  const retry = status === 429 ? 'Retry-After: 5\r\n' : '';
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: application/json\r\n${retry}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Sub-protocols that a handshake offers. */
export function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}
