import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/**
 * The client's side of a WebSocket (RFC 6455), as little of it as a load generator needs: text frames out, whole text
 * frames in. A tenth of a full client's cost, which counts where 5,000 of them share two cores with what they measure.
 */
export interface Wire {
  send(text: string): void;
  /** Stops reading (and lets the kernel's buffers fill), or goes on. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

export interface WireEvents {
  opened(): void;
  message(text: string): void;
  /** Once. 1006 where there was no close frame; `refused`: before the upgrade was accepted. */
  closed(code: number, reason: string, refused: boolean): void;
}

export interface Address {
  host: string;
  port: number;
  /** The client's own address: one loopback address has some 28,000 ports for connections to one address. */
  from?: string | undefined;
}

const opText = 0x1;
const opClose = 0x8;
const opPing = 0x9;
const opPong = 0xa;
const noBytes = Buffer.alloc(0);

export function openWire(address: Address, path: string, events: WireEvents): Wire {
  const socket = dial(address);
  const key = randomBytes(16).toString('base64');
  let upgraded = false;
  let rest: Buffer = noBytes;
  let code = 1006;
  let reason = '';
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${address.host}:${address.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
  );
  socket.on('data', chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (!upgraded && !readHead()) return;
    while (readFrame());
  });
  socket.on('error', error => {
    reason ||= error.message;
  });
  socket.once('end', () => socket.end());
  socket.once('close', () => events.closed(code, reason, !upgraded));
  return {
    send: text => void socket.write(frame(opText, Buffer.from(text))),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
  };

  function readHead(): boolean {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const status = rest.toString('latin1', 9, 12);
    if (status !== '101') {
      reason = `HTTP ${status}`;
      socket.destroy();
      return false;
    }
    rest = rest.subarray(end + 4);
    upgraded = true;
    events.opened();
    return true;
  }

  /** Servers' frames: unmasked, and here never in fragments. */
  function readFrame(): boolean {
    const short = rest[1];
    if (short === undefined) return false;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (rest.length < header) return false;
    const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if (rest.length < header + length) return false;
    const payload = rest.subarray(header, header + length);
    const opcode = (rest[0] ?? 0) & 0xf;
    rest = rest.subarray(header + length);
    if (opcode === opText) events.message(payload.toString('utf8'));
    else if (opcode === opPing) socket.write(frame(opPong, payload));
    else if (opcode === opClose) {
      code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      reason = payload.toString('utf8', 2);
      socket.end(frame(opClose, payload.subarray(0, 2)));
    }
    return true;
  }
}

/** The mask is all zeros: a client must mask, not how well (it guards against caches, of which there are none here). */
function frame(opcode: number, payload: Uint8Array): Buffer {
  const extended = payload.length < 126 ? 0 : 2;
  if (payload.length > 65_535) throw new Error('a client frame of more than 64 KiB');
  const bytes = Buffer.alloc(6 + extended + payload.length);
  bytes[0] = 0x80 | opcode;
  bytes[1] = 0x80 | (extended === 0 ? payload.length : 126);
  if (extended === 2) bytes.writeUInt16BE(payload.length, 2);
  bytes.set(payload, 6 + extended);
  return bytes;
}

export interface HttpAnswer {
  status: number;
  retryAfterMs: number | undefined;
  body: string;
}

/** A POST without a body over a connection of its own. Rejects when that breaks. */
export function post(address: Address, path: string, accessToken: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const socket = dial(address);
    const chunks: Buffer[] = [];
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: ${address.host}:${address.port}\r\nConnection: close\r\n` +
        `Authorization: Bearer ${accessToken}\r\nContent-Length: 0\r\n\r\n`,
    );
    socket.on('data', chunk => chunks.push(chunk));
    socket.once('error', reject);
    socket.once('end', () => socket.end());
    socket.once('close', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return reject(new Error('no answer'));
      const retryAfter = /^retry-after: *(\d+)/im.exec(text.slice(0, end))?.[1];
      return resolve({
        status: Number(text.slice(9, 12)),
        retryAfterMs: retryAfter === undefined ? undefined : Number(retryAfter) * 1_000,
        body: text.slice(end + 4),
      });
    });
  });
}

function dial({ host, port, from }: Address): Socket {
  return connect({ host, port, noDelay: true, ...(from !== undefined && { localAddress: from }) });
}
