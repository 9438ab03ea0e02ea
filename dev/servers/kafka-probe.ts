import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

/**
 * How many brokers a broker knows: a Metadata request, version 1, without topics
 * (https://kafka.apache.org/protocol#The_Messages_Metadata). It answers once its part of the cluster is up.
 */
export async function registeredBrokers(port: number, caFile: string | undefined, timeoutMs: number): Promise<number> {
  const address = { host: '127.0.0.1', port };
  const socket: Socket =
    caFile === undefined ? createConnection(address) : tlsConnect({ ...address, ca: readFileSync(caFile) });
  try {
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.write(metadataRequest());
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      // size, correlation id, then the array of brokers, whose length comes first
      if (received.length >= 12 && received.length >= 4 + received.readInt32BE(0)) return received.readInt32BE(8);
    }
    throw new Error('the broker closed the connection');
  } finally {
    socket.destroy();
  }
}

function metadataRequest(): Buffer {
  const client = Buffer.from('penstock-dev');
  const header = Buffer.alloc(4 + 2 + 2 + 4 + 2);
  const body = Buffer.alloc(4); // an empty array of topics: none
  header.writeInt32BE(header.length - 4 + client.length + body.length, 0);
  header.writeInt16BE(3, 4); // Metadata
  header.writeInt16BE(1, 6); // version
  header.writeInt32BE(1, 8); // correlation id
  header.writeInt16BE(client.length, 12);
  return Buffer.concat([header, client, body]);
}
