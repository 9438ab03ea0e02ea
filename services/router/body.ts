import type { IncomingMessage } from 'node:http';
import { type Limit, limitExceeded, type PenstockError } from '../../lib/errors.ts';

/** The whole body. @throws PenstockError LIMIT_EXCEEDED as soon as it is known to be larger than `maxBytes`; Error when the client goes away. */
export async function readBody(request: IncomingMessage, maxBytes: number, limit: Limit): Promise<Buffer> {
  const tooLarge = (): PenstockError => limitExceeded(limit, `the body is larger than ${maxBytes} bytes`);
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > maxBytes) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= maxBytes) chunks.push(chunk);
      else {
        request.pause();
        reject(tooLarge());
      }
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('the client went away')));
  });
}
