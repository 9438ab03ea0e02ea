import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

/**
 * An open-loop load generator over graphql-transport-ws: operations start on a fixed schedule whatever the answers do,
 * and a latency counts from the moment an operation was due (no coordinated omission).
 */
export interface Connection {
  /** Resolves with the payload of the first `next`. */
  run(query: string, variables: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): void;
}

export async function connect(url: string, connectionParams: Record<string, unknown>): Promise<Connection> {
  const socket = new WebSocket(url, 'graphql-transport-ws');
  const waiting = new Map<string, { resolve(payload: Record<string, unknown>): void; reject(error: Error): void }>();
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', code => reject(new Error(`closed with ${code}`)));
    socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: connectionParams })));
    socket.on('message', data => {
      const message = JSON.parse(String(data));
      if (message.type === 'connection_ack') resolve();
      else if (message.type === 'ping') socket.send('{"type":"pong"}');
      else if (message.type === 'next') waiting.get(message.id)?.resolve(message.payload);
      else if (message.type === 'error') waiting.get(message.id)?.reject(new Error(JSON.stringify(message.payload)));
      if (message.type === 'complete' || message.type === 'error') waiting.delete(message.id);
    });
  });
  socket.on('close', code => {
    for (const { reject } of waiting.values()) reject(new Error(`closed with ${code}`));
    waiting.clear();
  });
  return {
    run: (query, variables) =>
      new Promise((resolve, reject) => {
        const id = randomUUID();
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }));
      }),
    close: () => socket.close(),
  };
}

export interface LoadResult {
  /** Operations that were answered, and those that failed. */
  answered: number;
  failed: number;
  /** Answers per second from the first due operation to the last answer. */
  ratePerSecond: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Starts `rate × seconds` operations on schedule and waits for all of them. */
export async function openLoop(
  ratePerSecond: number,
  seconds: number,
  operation: (index: number) => Promise<unknown>,
): Promise<LoadResult> {
  const total = Math.round(ratePerSecond * seconds);
  const latencies: number[] = [];
  let failed = 0;
  let started = 0;
  const begin = performance.now();
  const pending: Promise<void>[] = [];
  await new Promise<void>(resolve => {
    const timer = setInterval(() => {
      const now = performance.now() - begin;
      while (started < total && (started * 1_000) / ratePerSecond <= now) {
        const due = begin + (started * 1_000) / ratePerSecond;
        pending.push(
          operation(started++).then(
            () => void latencies.push(performance.now() - due),
            () => void failed++,
          ),
        );
      }
      if (started < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(pending);
  const elapsedSeconds = (performance.now() - begin) / 1_000;
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? Number.NaN;
  return {
    answered: latencies.length,
    failed,
    ratePerSecond: latencies.length / elapsedSeconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
  };
}
