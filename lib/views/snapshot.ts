import type { ViewPlan } from '../app/plan.ts';
import { PenstockError } from '../errors.ts';
import { topicMark } from '../replay/topic-mark.ts';
import type { StreamPosition } from '../replay/types.ts';
import { keyHash } from './hashes.ts';
import { newestFirst } from './layout.ts';
import { formatPageCursor, maxPageRows, pageRequest, type RowPlace } from './page.ts';
import { selectView, type ViewSelection } from './select.ts';
import type { Parameters } from './statement.ts';
import type { ViewSnapshot } from './types.ts';
import type { TableVersion } from './versions.ts';

type Row = readonly unknown[];
type Query = (sql: string, values: readonly unknown[]) => Promise<Row[]>;

/** What a snapshot needs of its transaction: queries one after the other, rows as arrays. */
export interface SnapshotTransaction {
  query: Query;
  /** The live version of a table as this snapshot sees it; undefined before it is built for the first time. */
  liveVersion(table: string): Promise<TableVersion | undefined>;
  end(): Promise<void>;
}

const placeColumns = '_timestamp, _partition, _offset, __topic';
const oldestFirst = newestFirst.replaceAll('DESC', 'ASC');

export function snapshotOver(transaction: SnapshotTransaction): ViewSnapshot {
  const topicsRead = new Set<string>();
  const { query } = transaction;
  return {
    async read(view, args, caller) {
      const page = view.kind === 'connection' ? pageRequest(args) : undefined;
      const version = await transaction.liveVersion(view.table.name);
      if (!version) throw new PenstockError('UNAVAILABLE', `${view.field} is being built`);
      const select = () => selectView(view, version, args, caller);
      for (const topic of version.plan.topics) topicsRead.add(topic);
      if (!page) {
        const rows = await rowsOf(query, select(), view.kind === 'row' ? 1 : maxPageRows, newestFirst);
        const objects = rows.map(row => objectOf(view, row));
        return view.kind === 'row' ? (objects[0] ?? null) : objects;
      }
      return connection(query, view, select, page);
    },
    position: userKey => positionOf(query, [...topicsRead], userKey),
    close: () => transaction.end(),
  };
}

async function connection(
  query: Query,
  view: ViewPlan,
  select: () => ViewSelection,
  { first, last, after, before }: ReturnType<typeof pageRequest>,
): Promise<unknown> {
  const fromEnd = first === undefined;
  const limit = first ?? last ?? 0;
  const selection = select();
  const { conditions, parameters } = selection;
  const bounds = [
    ...(after ? [placed('<', after, parameters)] : []),
    ...(before ? [placed('>', before, parameters)] : []),
  ];
  const page = { ...selection, conditions: [...conditions, ...bounds] };
  const found = await rowsOf(query, page, limit + 1, fromEnd ? oldestFirst : newestFirst);
  const isCut = found.length > limit;
  const inOrder = found.slice(0, limit);
  if (fromEnd) inOrder.reverse();
  // With `first` and `last` together, `last` takes from what `first` left.
  const dropsNewer = !fromEnd && last !== undefined && inOrder.length > last;
  const rows = dropsNewer ? inOrder.slice(inOrder.length - (last ?? 0)) : inOrder;

  const exists = async (operator: '<=' | '>=', place: RowPlace): Promise<boolean> => {
    const other = select();
    const condition = placed(operator, place, other.parameters);
    return (await rowsOf(query, { ...other, conditions: [...other.conditions, condition] }, 1)).length > 0;
  };
  const moreBehind = !fromEnd && isCut;
  const moreInFront = fromEnd ? isCut : dropsNewer;
  const edges = rows.map(row => ({ cursor: formatPageCursor(placeOf(view, row)), node: objectOf(view, row) }));
  return {
    edges,
    pageInfo: {
      // What lies beyond the given cursors counts too, the rows at the cursors included.
      hasNextPage: moreBehind || (before !== undefined && (await exists('<=', before))),
      hasPreviousPage: moreInFront || (after !== undefined && (await exists('>=', after))),
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

async function rowsOf(query: Query, selection: ViewSelection, limit: number, order?: string): Promise<Row[]> {
  const { from, fields, conditions, parameters } = selection;
  const columns = [placeColumns, ...fields].join(', ');
  const ordered = order ? ` ORDER BY ${order}` : '';
  const sql = `SELECT ${columns} FROM ${from} WHERE ${conditions.join(' AND ')}${ordered} LIMIT ${limit}`;
  return query(sql, parameters.values);
}

function placed(operator: '<' | '>' | '<=' | '>=', at: RowPlace, parameters: Parameters): string {
  const { timestampMs, partition, offset, topic } = at;
  const values = [
    parameters.add(timestampMs, 'bigint'),
    parameters.add(partition, 'integer'),
    parameters.add(offset, 'bigint'),
    parameters.add(topic, 'smallint'),
  ];
  return `(${placeColumns}) ${operator} (${values.join(', ')})`;
}

const placeWidth = 4;

function placeOf(view: ViewPlan, row: Row): RowPlace {
  const [timestampMs, partition, offset, topic] = row;
  const isPlace = [timestampMs, partition, offset, topic].every(part => typeof part === 'number');
  if (!isPlace) throw new Error(`a row of ${view.table.name} has no place`);
  return { timestampMs, partition, offset, topic } as RowPlace;
}

function objectOf(view: ViewPlan, row: Row): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [index, { name }] of view.shape.fields.entries()) object[name] = row[placeWidth + index] ?? null;
  return object;
}

/**
 * The columns of the epoch are there once a projector of this release has been started. Until then their names mean those of `absent`:
 * in a subquery the nearest column of a name counts.
 */
const positionsText = `SELECT held.* FROM (SELECT NULL::integer AS leader_epoch, NULL::bigint AS leader_epoch_at) AS absent
  CROSS JOIN LATERAL (
    SELECT topic, partition, next, timestamp_ms, topic_id, CASE WHEN leader_epoch_at = next THEN leader_epoch END AS leader_epoch
    FROM penstock.view_positions WHERE scope = 0 AND topic = ANY($1::text[])
  ) AS held ORDER BY topic, partition`;

/** Rows and positions are written in one transaction, so that those of one snapshot belong together. */
async function positionOf(query: Query, topics: readonly string[], userKey: string): Promise<StreamPosition> {
  if (topics.length === 0) return { partitions: [], sequences: {} };
  const positions = await query(positionsText, [topics]);
  // A key's records lie in one partition. Where another producer spread them, the smaller number loses nothing.
  const sequences = await query(
    `SELECT topic, min(sequence) FROM penstock.view_sequences
     WHERE key_hash = $1 AND scope = 0 AND topic = ANY($2::text[]) GROUP BY topic`,
    [keyHash(userKey), topics],
  );
  return {
    partitions: positions.map(([topic, partition, next, timestampMs, , leaderEpoch]) => ({
      topic: String(topic),
      partition: Number(partition),
      offset: Number(next) - 1,
      timestampMs: Number(timestampMs),
      ...(typeof leaderEpoch === 'number' && { leaderEpoch }),
    })),
    sequences: Object.fromEntries(sequences.map(([topic, sequence]) => [String(topic), Number(sequence)])),
    topicMarks: marksOf(positions),
  };
}

/** Of topics whose positions are all in the same one. */
function marksOf(positions: readonly Row[]): Record<string, string> {
  const marks: Record<string, string> = {};
  for (const [topic, rows] of Map.groupBy(positions, ([name]) => String(name))) {
    const ids = new Set(rows.map(row => row[4]));
    const [id] = ids;
    if (ids.size === 1 && typeof id === 'string') marks[topic] = topicMark(id);
  }
  return marks;
}
