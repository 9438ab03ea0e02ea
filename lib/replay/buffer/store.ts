/** The buffer in Redis: what its scripts take and answer. */
import { z } from 'zod';
import { openScript, type RedisClient, type Script, type ScriptArgument } from '../../redis/index.ts';
import { ByteWriter } from '../bytes.ts';
import type { LogRecord } from '../log-record.ts';
import { topicMark } from '../topic-mark.ts';
import { packRecord } from './entry.ts';
import { stretches, timesBlock } from './times.ts';
import type { Append, BufferPlace, BufferStore, Fence, RawEntry, Retention, Stale } from './types.ts';

/** The scripts by themselves, so that a test can break one and see that it is noticed. */
export interface BufferScripts {
  claim: Script;
  open: Script;
  append: Script;
  read: Script;
}

export const bufferScripts: BufferScripts = {
  claim: openScript(new URL('./claim.lua', import.meta.url)),
  open: openScript(new URL('./open.lua', import.meta.url)),
  append: openScript(new URL('./append.lua', import.meta.url)),
  read: openScript(new URL('./read.lua', import.meta.url)),
};

const integer = z.coerce.number().int();
const stale = z.tuple([z.literal('STALE'), integer, integer]);
const claimed = z.tuple([
  z.literal('OK'),
  integer,
  integer,
  z.string(),
  z.string(),
  z.string(),
  z.string(),
  z.string(),
  z.string(),
]);
const opened = z.tuple([z.literal('OK')]);
const appended = z.union([z.tuple([z.literal('OK'), integer]), z.tuple([z.literal('HOLE')])]);
const bytes = z.instanceof(Buffer);
const number = bytes.transform(Number).pipe(z.number().int());
const optional = bytes
  .transform(text => (text.length === 0 ? undefined : Number(text)))
  .pipe(z.number().int().optional());
const found = z.tuple([number, number, optional, bytes, z.array(z.tuple([bytes, number, bytes])), bytes]);

/** Most records in one answer of a read, and bytes of records at which it stops. */
export const pageRecords = 500;
export const pageBytes = 1_048_576;

/** Streams live longer than `from` says, so that a clock that goes wrong shows as a hole at most. */
const streamLife = 1.25;
const leastWindowLifeMs = 86_400_000;

/**
 * @param name of the deployment: other gateways on the same Redis, or the same ones on another Kafka, have windows of
 *   their own. The hash tag keeps a partition in one slot of a cluster.
 */
export function openBufferStore(
  redis: RedisClient,
  name: string,
  retention: Retention,
  scripts: BufferScripts = bufferScripts,
): BufferStore {
  const keyOf = ({ topic, partition, topicId }: BufferPlace) =>
    `penstock:{${topic}/${partition}}:${name}${topicId === undefined ? '' : `:${topicMark(topicId)}`}`;
  const windowLifeMs = Math.max(2 * retention.ageMs, leastWindowLifeMs);
  return {
    async claim(at, fence, force) {
      const raw = await scripts.claim.run(redis, [keyOf(at)], [...fenceOf(fence), force ? 1 : 0]);
      const refused = stale.safeParse(raw);
      if (refused.success) return staleOf(refused.data);
      const [, generation, counter, id, tail, , mark, timestamp, epoch] = claimed.parse(raw);
      return {
        answer: 'OK',
        fence: { generation, counter },
        window:
          id === ''
            ? undefined
            : {
                id,
                tail: Number(tail),
                tailEpoch: epochAt(Number(tail), epoch),
                mark: mark === '' ? undefined : { offset: Number(mark), timestampMs: Number(timestamp) },
              },
      };
    },
    async open(at, fence, id, from) {
      const args = [...fenceOf(fence), id ?? '', from, id === undefined ? '' : from - 1, windowLifeMs];
      const raw = await scripts.open.run(redis, [keyOf(at)], args);
      const refused = stale.safeParse(raw);
      if (refused.success) return staleOf(refused.data);
      opened.parse(raw);
      return { answer: 'OK' };
    },
    async append(at, append) {
      const raw = await scripts.append.run(redis, [keyOf(at)], appendArguments(append, retention, windowLifeMs));
      const refused = stale.safeParse(raw);
      if (refused.success) return staleOf(refused.data);
      return { answer: appended.parse(raw)[0] };
    },
    async read(at, { key, after }) {
      const { block, position } = timesBlock(Math.max(0, after));
      const args = [key, after + 2, pageRecords, pageBytes, block, position, position + 7];
      const raw = await scripts.read.runForBytes(redis, [keyOf(at)], args);
      if (Array.isArray(raw) && raw.length === 0) return undefined;
      const [tail, from, last, times, entries, epoch] = found.parse(raw);
      const timestamp = after < 0 || times.length < 8 ? 0 : Number(times.readBigUInt64BE());
      return {
        tail,
        tailEpoch: epochAt(tail, epoch.toString('latin1')),
        from,
        last,
        timestampMs: timestamp === 0 ? undefined : timestamp - 1,
        entries: entries.map(([id, previous, packed]): RawEntry => {
          const [sequence = ''] = id.toString('latin1').split('-');
          return { offset: Number(sequence) - 1, previous, packed };
        }),
      };
    },
  };
}

function appendArguments(
  { fence, id, expectedTail, newTail, tailEpoch, records, mark }: Append,
  { keyRecords, ageMs, partitionBytes }: Retention,
  windowLifeMs: number,
): ScriptArgument[] {
  const byKey = new Map<string, LogRecord[]>();
  let sizeBytes = 0;
  for (const record of records) {
    if (record.key === undefined) continue;
    sizeBytes += record.sizeBytes;
    const of = byKey.get(record.key);
    if (of === undefined) byKey.set(record.key, [record]);
    else of.push(record);
  }
  const writer = new ByteWriter();
  const args: ScriptArgument[] = [
    ...fenceOf(fence),
    id,
    expectedTail,
    newTail,
    mark?.offset ?? '',
    mark?.timestampMs ?? '',
    sizeBytes,
    keyRecords,
    ageMs,
    partitionBytes,
    Math.ceil(ageMs * streamLife),
    windowLifeMs,
    tailEpoch === undefined ? '' : `${newTail}:${tailEpoch}`,
    byKey.size,
  ];
  for (const [key, of] of byKey) {
    args.push(key, of.length);
    for (const { record } of of) args.push(record.offset, packRecord(record, writer));
  }
  for (const { block, position, times } of stretches(records)) args.push(block, position, times);
  return args;
}

/** An epoch is kept with its offset: a gateway that knows nothing of epochs moves the tail and leaves it behind. */
function epochAt(tail: number, stored: string): number | undefined {
  const [offset, epoch] = stored.split(':');
  return epoch !== undefined && Number(offset) === tail ? Number(epoch) : undefined;
}

function fenceOf({ generation, counter }: Fence): [number, number] {
  return [generation, counter];
}

function staleOf([, generation, counter]: z.infer<typeof stale>): Stale {
  return { answer: 'STALE', holder: { generation, counter } };
}
