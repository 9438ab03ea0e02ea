import type { Duplex } from 'node:stream';
import { closeCodes } from '../../lib/errors.ts';
import { closeFrame, FrameBoundary } from './frame-boundary.ts';

/** A client's WebSocket and a gateway's, joined byte for byte. */
export interface Splice {
  /** Sends the client a close frame (1012) as soon as one fits between two frames, and lets both ends go. */
  leave(): void;
  /** The gateway is dead: as {@link leave}, but breaks off where no close frame fits. */
  abandon(): void;
}

/** How long an end that was told to end may take, ms. */
const lingerMs = 2_000;

/**
 * Ties two sockets that http-proxy has piped into each other: http-proxy ends one when the other *ends*, but leaks it
 * when the other is destroyed. Call it in the listener behind http-proxy's own, before any data has flowed.
 */
export function splice(client: Duplex, upstream: Duplex, onClosed: () => void): Splice {
  const boundary = new FrameBoundary();
  let leaving: Buffer | undefined;
  let linger: NodeJS.Timeout | undefined;
  let open = 2;

  const letGo = (): void => {
    linger ??= setTimeout(() => {
      client.destroy();
      upstream.destroy();
    }, lingerMs);
  };
  const sayGoodbye = (): void => {
    if (leaving === undefined || !boundary.atBoundary) return;
    upstream.unpipe(client);
    upstream.removeListener('data', onData);
    upstream.resume();
    if (client.writable) client.write(leaving);
    leaving = undefined;
    letGo();
  };
  const onData = (chunk: Buffer): void => {
    boundary.push(chunk);
    if (leaving !== undefined) sayGoodbye();
  };
  const onClose = (other: Duplex) => (): void => {
    open--;
    if (open === 0) {
      clearTimeout(linger);
      onClosed();
      return;
    }
    // The gateway's last bytes may still be on their way to the client; towards the gateway nothing matters any more.
    if (other === client) {
      if (client.writable) client.end();
      letGo();
    } else other.destroy();
  };

  // Behind the pipe's listener: a chunk is in the client's buffer before the boundary behind it counts.
  upstream.on('data', onData);
  client.on('error', () => undefined);
  upstream.on('error', () => undefined);
  client.once('close', onClose(upstream));
  upstream.once('close', onClose(client));
  client.once('end', letGo);
  upstream.once('end', letGo);

  return {
    leave() {
      leaving = closeFrame(closeCodes.restart, 'this router is leaving');
      sayGoodbye();
    },
    abandon() {
      leaving = closeFrame(closeCodes.restart, 'the replica does not answer any more');
      sayGoodbye();
      if (leaving !== undefined) client.destroy();
      upstream.destroy();
    },
  };
}
