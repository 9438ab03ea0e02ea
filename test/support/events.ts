/** One event of a `text/event-stream`; `data` is parsed. */
export interface ServerEvent {
  event: string;
  id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the server sent; each test knows what it asks for
  data: any;
}

export interface EventSource {
  status: number;
  /** What has come so far. */
  all: readonly ServerEvent[];
  /** Resolves when the response is over, for whatever reason. */
  ended: Promise<void>;
  close(): void;
}

/** POSTs a GraphQL request that accepts events only, and collects them as the specification of EventSource reads them. */
export async function openEvents(
  url: string,
  token: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventSource> {
  const aborting = new AbortController();
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    signal: aborting.signal,
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  });
  const all: ServerEvent[] = [];
  const read = async () => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) all.push(parse(event));
    }
  };
  return {
    status: response.status,
    all,
    // An abort, or a connection that breaks, ends the response as well.
    ended: read().catch(() => undefined),
    close: () => aborting.abort(),
  };
}

function parse(text: string): ServerEvent {
  const fields = new Map(
    text.split('\n').map(line => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    }),
  );
  const data = fields.get('data');
  return {
    event: fields.get('event') ?? 'message',
    id: fields.get('id'),
    data: data === undefined || data === '' ? undefined : JSON.parse(data),
  };
}
