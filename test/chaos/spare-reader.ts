import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';
import type { SpareTopic } from './app.ts';
import { pause } from './whole.ts';

const retryMs = 300;

/** A client of a fault's own, which goes on with `earliest` when it is told that its cursor has expired. */
export class SpareReader {
  /** Numbers of the records, as they came. */
  readonly got: number[] = [];
  /** How many times it was told CURSOR_EXPIRED. */
  told = 0;
  /** Codes of what should not have ended it. */
  readonly failures: string[] = [];
  readonly user: string;
  readonly #url: string;
  readonly #topic: SpareTopic;
  #cursor: string | undefined;
  #line: User | undefined;

  constructor(url: string, user: string, topic: SpareTopic) {
    this.#url = url;
    this.user = user;
    this.#topic = topic;
  }

  /** Goes on behind what it has; resolves when it has connected. */
  async start(): Promise<void> {
    this.#line = await openUser(this.#url, this.user);
    this.#subscribe();
  }

  /** Resolves when the record with this number has come. */
  async has(n: number, signal: AbortSignal): Promise<void> {
    await until(
      `record ${n} of ${this.#topic} at ${this.user}, which has ${this.got.at(-1)} and was told ${this.told} times`,
      () => this.got.at(-1) === n || this.failures.length > 0 || signal.aborted,
      60_000,
    );
  }

  async stop(): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    await line?.close();
  }

  #subscribe(): void {
    const line = this.#line;
    if (line === undefined) return;
    const stream = line.subscribe(
      {
        query: `subscription { ${this.#topic} { n } }`,
        extensions: this.#cursor === undefined ? { from: 'earliest' } : { cursor: this.#cursor },
      },
      {
        next: ({ data, extensions }) => {
          if (this.#line !== line) return;
          this.got.push((data as Record<SpareTopic, { n: number }>)[this.#topic].n);
          this.#cursor = String(extensions?.cursor);
        },
        error: error => {
          this.#cursor = stream.cursor() ?? this.#cursor;
          stream.stop();
          this.#ended(error);
        },
      },
    );
  }

  #ended(error: unknown): void {
    const [first] = (Array.isArray(error) ? error : [error]) as {
      extensions?: { code?: string; earliest?: string };
    }[];
    const code = first?.extensions?.code ?? String(error);
    if (code === 'CURSOR_EXPIRED') {
      this.told++;
      this.#cursor = first?.extensions?.earliest;
    } else if (code !== 'UNAVAILABLE' && code !== 'LIMIT_EXCEEDED') {
      this.failures.push(code);
      return;
    }
    void pause(retryMs, new AbortController().signal).then(() => this.#subscribe());
  }
}
