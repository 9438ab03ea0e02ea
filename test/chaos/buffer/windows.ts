import type { Redis } from 'ioredis';
import { z } from 'zod';

/** A window of the replay buffer as it lies in Redis, records left out. */
export interface WindowContent {
  name: string;
  topic: string;
  partition: number;
  tail: number;
  from: number;
  /** Those that it knows. */
  keys: readonly { key: string; last: number; entries: readonly { offset: number; previous: number }[] }[];
}

/**
 * KEYS[1] the window's hash. Answers {} where there is no window, else {tail, from, [[key, last, [id, previous, …]], …]}.
 * One script, so that nobody writes in between.
 */
const contentScript = `
local stored = redis.call('HMGET', KEYS[1], 'id', 'tail', 'from')
local id, tail = stored[1] or '', stored[2] or ''
local last = KEYS[1] .. ':last:' .. id
if id == '' or tail == '' or not redis.call('ZSCORE', last, '#') then return {} end
local keys, members = {}, redis.call('ZRANGE', last, 0, -1, 'WITHSCORES')
for at = 1, #members, 2 do
  if members[at] ~= '#' then
    local key, entries = string.sub(members[at], 2), {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1] .. ':key:' .. id .. ':' .. key, '-', '+')) do
      entries[#entries + 1] = entry[1]
      entries[#entries + 1] = entry[2][2]
    end
    keys[#keys + 1] = {key, members[at + 1], entries}
  end
end
return {tail, stored[3], keys}`;

const content = z.union([
  z.tuple([]),
  z.tuple([
    z.coerce.number(),
    z.coerce.number(),
    z.array(z.tuple([z.string(), z.coerce.number(), z.array(z.string())])),
  ]),
]);

/** Of which partition a window is, as its hash tag says. */
export function placeOf(window: string): { topic: string; partition: number } {
  const [, topic = '', partition] = /^penstock:\{(.+)\/(\d+)\}:/.exec(window) ?? [];
  return { topic, partition: Number(partition) };
}

/** Every window of these topics. */
export async function readWindows(redis: Redis, topics: Iterable<string>): Promise<WindowContent[]> {
  const found: WindowContent[] = [];
  for (const topic of topics) {
    const names = (await redis.keys(`penstock:{${topic}/*`)).filter(name => !/\}:.*:(last|key|times):/.test(name));
    for (const name of names) {
      const { partition } = placeOf(name);
      const answer = content.parse(await redis.eval(contentScript, 1, name));
      if (answer.length === 0) continue;
      const [tail, from, keys] = answer;
      found.push({
        ...{ name, topic, partition, tail, from },
        keys: keys.map(([key, last, fields]) => ({ key, last, entries: entriesOf(fields) })),
      });
    }
  }
  return found;
}

/** @param fields id, predecessor, id, predecessor…; an id is the offset plus one. */
function entriesOf(fields: readonly string[]): { offset: number; previous: number }[] {
  return Array.from({ length: fields.length / 2 }, (_, index) => ({
    offset: Number.parseInt(fields[index * 2] ?? '', 10) - 1,
    previous: Number(fields[index * 2 + 1]),
  }));
}
