/**
 * The versions of Kafka's APIs that we speak ourselves, in one table: each request takes its version from here, and so does the
 * check of what a broker can do. Versions: the newest without flexible fields that Kafka 4 still speaks; where a topic's id is
 * needed (KIP-516), the first that have it.
 */
import { ByteReader } from './bytes.ts';

/** One API in the version that we speak. */
export interface Api {
  apiKey: number;
  apiVersion: number;
  apiName: string;
  /** Where its answer has the throttle time; in front it follows the header's tags in a flexible version (KIP-482). */
  throttleTime: 'first' | 'behind the tags' | 'last';
}

export const apis = {
  produce: { apiKey: 0, apiVersion: 7, apiName: 'Produce', throttleTime: 'last' },
  fetch: { apiKey: 1, apiVersion: 13, apiName: 'Fetch', throttleTime: 'behind the tags' },
  listOffsets: { apiKey: 2, apiVersion: 4, apiName: 'ListOffsets', throttleTime: 'first' },
  metadata: { apiKey: 3, apiVersion: 12, apiName: 'Metadata', throttleTime: 'behind the tags' },
  initProducerId: { apiKey: 22, apiVersion: 1, apiName: 'InitProducerId', throttleTime: 'first' },
  offsetForLeaderEpoch: { apiKey: 23, apiVersion: 3, apiName: 'OffsetForLeaderEpoch', throttleTime: 'first' },
} as const satisfies Readonly<Record<string, Api>>;

/** The first release whose brokers speak all of {@link apis}. */
const oldestKafka = '3.1';

/** API key → the versions that a broker speaks, as it says on a new connection. */
export type BrokerVersions = Readonly<Record<number, { minVersion: number; maxVersion: number }>>;

/** Returns why a broker can't be used, and what to do; undefined for one that speaks all that we need. */
export function refusalOf(versions: BrokerVersions): string | undefined {
  const missing = Object.values(apis).flatMap(({ apiKey, apiVersion, apiName }) => {
    const range = versions[apiKey];
    if (range !== undefined && range.minVersion <= apiVersion && apiVersion <= range.maxVersion) return [];
    const has = range === undefined ? 'it has none' : `it has ${range.minVersion} to ${range.maxVersion}`;
    return [`${apiName} ${apiVersion} (${has})`];
  });
  if (missing.length === 0) return undefined;
  return `the broker does not speak ${missing.join(', ')}: Penstock needs Kafka ${oldestKafka} or later, upgrade this broker`;
}

/** Returns for how long the broker takes no further request of this connection, ms: a client quota is exceeded (KIP-219). */
export function throttleTimeMs({ throttleTime }: Api, answer: Buffer): number {
  const reader = new ByteReader(answer);
  if (throttleTime === 'behind the tags') reader.tags();
  if (throttleTime === 'last') reader.position = answer.length - 4;
  return reader.int32();
}
