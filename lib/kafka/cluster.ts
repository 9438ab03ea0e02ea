import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import { BrokerError, KafkaUnavailableError, UnknownTopicError } from './errors.ts';
import { type Link, type LinkSettings, openLink } from './link.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import {
  type BrokerAddress,
  type MetadataAnswer,
  metadataRequest,
  noTopicId,
  type TopicMetadata,
  type WireRequest,
} from './wire/requests.ts';

/** A broker that has not answered for so long may stand still, ms: metadata takes a few. */
const hedgeMs = 1_000;

/**
 * Who leads what, and links to the brokers. kafkajs's own Cluster refuses all topics as soon as one is gone, which is
 * why metadata is asked for and kept here, per topic.
 */
export class Cluster {
  readonly purpose: string;
  readonly #bootstrap: readonly { host: string; port: number }[];
  readonly #settings: LinkSettings;
  readonly #onClose: () => void;
  readonly #brokers = new Map<number, BrokerAddress>();
  readonly #topics = new Map<string, TopicMetadata>();
  /** topic → leaders by partition number. */
  readonly #leaders = new Map<string, number[]>();
  readonly #links = new Map<string, Slot>();
  readonly #wanted = new Set<string>();
  #refreshing: Promise<MetadataAnswer> | undefined;
  #nextRefresh: Promise<MetadataAnswer> | undefined;
  #turn = 0;
  #closed = false;

  constructor(bootstrap: readonly string[], settings: LinkSettings, purpose: string, onClose: () => void) {
    this.#bootstrap = bootstrap.map(parseAddress);
    this.#settings = settings;
    this.purpose = purpose;
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closed;
  }

  nodeIds(): number[] {
    return [...this.#brokers.keys()];
  }

  /** What the last refresh said of the topic; undefined before the first that asked for it. */
  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** Of the topic that has the name now; undefined while it is not known. */
  topicIdOf(topic: string): string | undefined {
    const id = this.#topics.get(topic)?.topicId;
    return id === noTopicId ? undefined : id;
  }

  /** The leader's node id; undefined while none is known. */
  leaderOf(topic: string, partition: number): number | undefined {
    const leader = this.#leaders.get(topic)?.[partition];
    return leader === undefined || leader < 0 ? undefined : leader;
  }

  /** Has the leaders asked for anew; what is known still tells an answer that is older. */
  doubt(topic: string): void {
    this.#leaders.delete(topic);
  }

  /** Drops what is known of a topic that nobody uses any more. */
  forget(topic: string): void {
    this.#topics.delete(topic);
    this.#leaders.delete(topic);
  }

  /**
   * Asks a broker for the given topics. Calls while one is under way share the next one.
   * @throws KafkaUnavailableError
   */
  async refresh(topics: readonly string[]): Promise<MetadataAnswer> {
    for (const topic of topics) this.#wanted.add(topic);
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#ask().finally(() => {
        this.#refreshing = undefined;
      });
      return this.#refreshing;
    }
    this.#nextRefresh ??= this.#refreshing
      .catch(() => undefined)
      .then(() => {
        this.#nextRefresh = undefined;
        return this.refresh([]);
      });
    return this.#nextRefresh;
  }

  /**
   * The topic's partitions, fresh from a broker.
   * @throws UnknownTopicError, BrokerError, KafkaUnavailableError
   */
  async freshTopic(name: string): Promise<TopicMetadata> {
    await this.refresh([name]);
    const topic = this.#topics.get(name);
    if (topic === undefined || topic.errorCode === codes.UNKNOWN_TOPIC_OR_PARTITION) throw new UnknownTopicError(name);
    if (topic.errorCode !== codes.NONE && topic.errorCode !== codes.LEADER_NOT_AVAILABLE) {
      throw new BrokerError(topic.errorCode, nameOfCode(topic.errorCode), `metadata of topic ${name}`);
    }
    return topic;
  }

  /** A link to that broker; `lane` tells apart several to the same one. @throws KafkaUnavailableError */
  async link(nodeId: number, lane = 0): Promise<Link> {
    const broker = this.#brokers.get(nodeId);
    if (broker === undefined) throw new KafkaUnavailableError(`broker ${nodeId} is not known`);
    return this.#open(`${nodeId}/${lane}`, broker.host, broker.port);
  }

  /** A link to an address that is not in the metadata yet, such as a coordinator's. */
  async linkTo(host: string, port: number): Promise<Link> {
    return this.#open(`${host}:${port}`, host, port);
  }

  /**
   * A link to whichever broker can be reached, apart from those that may carry a long poll: the one in use while it
   * lives, else the cluster's brokers and then the bootstrap addresses, in turn. `not`: the address of one that is not
   * wanted.
   */
  async anyLink(not?: string): Promise<Link> {
    const isWanted = ({ host, port }: { host: string; port: number }) => `${host}:${port}` !== not;
    for (const [key, slot] of this.#links) {
      if (key.startsWith('any ') && slot.link?.alive && isWanted(slot)) return slot.link;
    }
    const known = [...this.#brokers.values()].map(({ host, port }) => ({ host, port }));
    const turn = known.length === 0 ? 0 : this.#turn++ % known.length;
    const candidates = [...known.slice(turn), ...known.slice(0, turn), ...this.#bootstrap].filter(isWanted);
    let last: unknown;
    for (const { host, port } of candidates) {
      try {
        return await this.#open(`any ${host}:${port}`, host, port);
      } catch (error) {
        last = error;
      }
    }
    const tried = this.#bootstrap.map(({ host, port }) => `${host}:${port}`).join(', ');
    throw new KafkaUnavailableError(`no broker answers (${tried}): ${messageOf(last)}`, last);
  }

  /** At once; what is under way rejects. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    for (const { opening } of this.#links.values()) {
      opening.then(
        link => link.close(),
        () => undefined,
      );
    }
    this.#links.clear();
  }

  async #ask(): Promise<MetadataAnswer> {
    const topics = [...this.#wanted];
    this.#wanted.clear();
    try {
      const answer = await this.#firstAnswer(metadataRequest(topics));
      this.#brokers.clear();
      for (const broker of answer.brokers) this.#brokers.set(broker.nodeId, broker);
      for (const answered of answer.topics) {
        const topic = newest(this.#topics.get(answered.topic), answered);
        this.#topics.set(topic.topic, topic);
        const leaders: number[] = [];
        for (const { partition, leader } of topic.partitions) leaders[partition] = leader;
        this.#leaders.set(topic.topic, leaders);
      }
      return answer;
    } catch (error) {
      for (const topic of topics) this.#wanted.add(topic);
      throw error;
    }
  }

  /** Of one broker; where it does not answer soon, of another one, too: one that stands still must not hold up everybody. */
  async #firstAnswer<T>(request: WireRequest<T>): Promise<T> {
    const link = await this.anyLink();
    const asked = link.send(request);
    const patience = new AbortController();
    const late = sleep(hedgeMs, 'late' as const, { signal: patience.signal }).catch(() => 'late' as const);
    const first = await Promise.race([asked.then(answer => ({ answer })), late]).finally(() => patience.abort());
    if (first !== 'late') return first.answer;
    const other = this.anyLink(link.address).then(another => another.send(request));
    try {
      return await Promise.any([asked, other]);
    } catch {
      return await asked;
    } finally {
      // Whoever asks next asks the quicker one.
      const key = `any ${link.address}`;
      if (this.#links.get(key)?.link === link) this.#links.delete(key);
      link.retire();
    }
  }

  #open(key: string, host: string, port: number): Promise<Link> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const before = this.#links.get(key);
    const same = before?.host === host && before.port === port;
    if (before !== undefined && same && (before.link === undefined || before.link.alive)) return before.opening;
    before?.opening.then(
      link => link.retire(),
      () => undefined,
    );
    const slot: Slot = { host, port, link: undefined, opening: this.#connect(host, port) };
    this.#links.set(key, slot);
    slot.opening.then(
      link => {
        slot.link = link;
      },
      () => {
        if (this.#links.get(key) === slot) this.#links.delete(key);
      },
    );
    return slot.opening;
  }

  async #connect(host: string, port: number): Promise<Link> {
    const link = await openLink(host, port, this.#settings);
    if (!this.#closed) return link;
    link.close();
    throw this.#closedError();
  }

  #closedError(): KafkaUnavailableError {
    return new KafkaUnavailableError(`the connection for ${this.purpose} is closed`);
  }
}

/**
 * Returns what is known of a topic after a broker's answer. A broker that is cut off from the others still tells of the leaders
 * of before, itself perhaps: of a partition of the same topic, the later election is believed, as in the Java client.
 */
export function newest(known: TopicMetadata | undefined, answered: TopicMetadata): TopicMetadata {
  if (known === undefined || known.topicId !== answered.topicId) return answered;
  const earlier = new Map(known.partitions.map(one => [one.partition, one]));
  const partitions = answered.partitions.map(one => {
    const before = earlier.get(one.partition);
    const isOlder = before !== undefined && one.leaderEpoch >= 0 && one.leaderEpoch < before.leaderEpoch;
    return isOlder ? before : one;
  });
  return { ...answered, partitions };
}

interface Slot {
  host: string;
  port: number;
  /** Set once `opening` has resolved. */
  link: Link | undefined;
  opening: Promise<Link>;
}

/** `host:port`, also `[::1]:9092`. */
function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
