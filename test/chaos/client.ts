import type { ExecutionResult, SubscribePayload } from 'graphql-ws';
import type { Stream, StreamListener } from '../support/user.ts';
import type { Diary } from './diary.ts';
import { fields, type Ids, type Recording } from './evidence.ts';

/** One connection over WebSocket, or one response over SSE. */
export interface Line {
  subscribe(payload: SubscribePayload, listener: StreamListener): Stream;
  stopReading(): () => void;
  close(): Promise<void>;
}

/** A client of the run: its streams, over however many connections, with what they got. */
export class Client {
  readonly recordings: readonly Recording[];
  readonly #open: () => Promise<Line>;
  readonly #diary: Diary;
  readonly #ids: Ids;
  readonly #streams = new Map<Recording, Stream>();
  readonly #cursors = new Map<Recording, string>();
  #line: Line | undefined;

  constructor(recordings: readonly Recording[], open: () => Promise<Line>, diary: Diary, ids: Ids) {
    this.recordings = recordings;
    this.#open = open;
    this.#diary = diary;
    this.#ids = ids;
  }

  async start(): Promise<void> {
    this.#line = await this.#open();
    for (const recording of this.recordings) this.#subscribe(recording);
  }

  stopReading(): () => void {
    return this.#line?.stopReading() ?? (() => {});
  }

  async leave(): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const [recording, stream] of streams) {
      const cursor = stream.cursor();
      if (cursor !== undefined) this.#cursors.set(recording, cursor);
      stream.stop();
    }
    await line?.close();
  }

  #subscribe(recording: Recording): void {
    const line = this.#line;
    if (line === undefined) return;
    const { topic, query } = fields[recording.field];
    const cursor = this.#cursors.get(recording);
    const stream: Stream = line.subscribe(
      { query, extensions: cursor === undefined ? { from: 'earliest' } : { cursor } },
      {
        next: (result: ExecutionResult) => {
          const record = (result.data as Record<string, { n?: number; id?: string }> | null)?.[recording.field];
          if (record === undefined) return this.#ended(recording, stream, JSON.stringify(result.errors));
          recording.ids.push(this.#ids.of(topic, record.n ?? record.id));
          recording.arrivedMs.push(this.#diary.now());
        },
        error: error => {
          if (this.#streams.get(recording) === stream) this.#ended(recording, stream, codeOf(error));
        },
        complete: () => {
          if (this.#streams.get(recording) === stream) this.#ended(recording, stream, 'COMPLETE');
        },
      },
    );
    this.#streams.set(recording, stream);
  }

  /** What a dependency that is away ends, the client begins again with its cursor. Anything else counts against the run. */
  #ended(recording: Recording, stream: Stream, code: string): void {
    this.#diary.note(recording.client, `${recording.field} ended: ${code}`);
    if (code !== 'UNAVAILABLE' && code !== 'LIMIT_EXCEEDED') {
      recording.endings.push({ atMs: this.#diary.now(), code });
    }
    const cursor = stream.cursor() ?? this.#cursors.get(recording);
    if (cursor !== undefined) this.#cursors.set(recording, cursor);
    this.#streams.delete(recording);
    stream.stop();
    const line = this.#line;
    setTimeout(() => {
      if (this.#line === line) this.#subscribe(recording);
    }, 300);
  }
}

function codeOf(error: unknown): string {
  const [first] = Array.isArray(error) ? error : [error];
  const { extensions, code, reason } = (first ?? {}) as {
    extensions?: { code?: string };
    code?: number;
    reason?: string;
  };
  if (typeof error === 'string') return error;
  return extensions?.code ?? (code === undefined ? String(first) : `close ${code} ${reason ?? ''}`);
}
