import { ConnectionError } from './errors.ts';
import type { Http } from './http.ts';
import type { Line, LineWatch, Payload, Sink, WireResult } from './line.ts';
import { deferred } from './time.ts';

/** Serves subscriptions over SSE, a response each. When one of them breaks, the line is over: the others go on by their cursors as well. */
export function openEventLine(http: Http, token: string, watch: LineWatch): Line {
  const streams = new Set<AbortController>();
  const closed = deferred<ConnectionError>();
  const over = (error: ConnectionError) => {
    closed.resolve(error);
    for (const stream of streams) stream.abort();
  };
  watch.letIn();
  return {
    isSse: true,
    closed: closed.promise,
    subscribe(_id, payload, sink) {
      const stream = new AbortController();
      streams.add(stream);
      follow(payload, sink, stream)
        .catch(error => stream.signal.aborted || over(error))
        .finally(() => streams.delete(stream));
      return () => stream.abort();
    },
    close: (reason = '') => over(new ConnectionError(1000, reason)),
  };

  function follow(payload: Payload, sink: Sink, stream: AbortController): Promise<void> {
    const { signal } = stream;
    const read = async (response: Response, heard: () => void) => {
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
        const { errors = [] } = (await response.json()) as WireResult;
        if (!signal.aborted) sink.error(errors);
        return;
      }
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const chunk = await reader?.read();
        if (chunk?.value === undefined) throw new ConnectionError(1012, 'stream ended');
        heard();
        const events = (text + chunk.value).split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) {
          if (signal.aborted) return;
          watch.served();
          if (take(event, sink)) return stream.abort();
        }
      }
    };
    return http.post('/graphql', token, payload, read, stream);
  }

  /** Returns whether the subscription is over. */
  function take(event: string, sink: Sink): boolean {
    const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(event)?.[1];
    const kind = field('event');
    const result = JSON.parse(field('data') || '{}');
    const { data, errors } = result;
    if (kind === 'ping') sink.ping(field('id'), result.live === true);
    else if (kind === 'complete') sink.complete();
    else if (data !== undefined) sink.next(result);
    else if (errors[0].extensions?.code === 'UNAUTHENTICATED') over(new ConnectionError(4403, errors[0].message));
    else sink.error(errors);
    return kind !== 'ping' && data === undefined;
  }
}
