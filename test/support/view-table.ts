import { randomBytes } from 'node:crypto';
import type { AppPlan } from '../../lib/app/index.ts';
import type { KafkaRecord } from '../../lib/kafka/index.ts';
import type { TableVersion, ViewSnapshot, Views } from '../../lib/views/index.ts';
import { entryOf, readRecord } from '../../services/projector/reading.ts';
import { openStore, type Store } from '../../services/projector/store.ts';
import { writeTable } from '../../services/projector/table-writer.ts';
import { createVersion, migrateViews } from '../../services/projector/versions.ts';
import { quietOps } from './quiet-ops.ts';

/** A table of a view, fed with records that no broker has seen. */
export interface ViewTable {
  version: TableVersion;
  store: Store;
  feed(records: readonly KafkaRecord[]): Promise<void>;
  close(): Promise<void>;
}

export async function openViewTable(url: string, plan: AppPlan, table: string): Promise<ViewTable> {
  const tablePlan = plan.tables.get(table);
  if (!tablePlan) throw new Error(`no table ${table}`);
  const store = openStore({ url, poolSize: 2 }, quietOps('view-table'));
  const version = await store.transaction(async queries => {
    await migrateViews(queries);
    return createVersion(queries, tablePlan, 'live');
  });
  return {
    version,
    store,
    async feed(records) {
      const entries = records.map(record => entryOf(version, readRecord(plan.tables, record)));
      await store.transaction(queries => writeTable(queries, version, entries, new Map()));
    },
    close: () => store.close(),
  };
}

/** A record as if it came from a topic. */
export function recordOf(value: unknown, more: Partial<KafkaRecord> = {}): KafkaRecord {
  return {
    topic: 'things',
    partition: 0,
    offset: randomBytes(4).readUInt32BE(),
    timestampMs: 0,
    key: Buffer.from('somebody'),
    value: Buffer.from(JSON.stringify(value)),
    headers: {},
    ...more,
  };
}

/** Does something in a snapshot and closes it. */
export async function inSnapshot<Result>(
  views: Views,
  work: (snapshot: ViewSnapshot) => Promise<Result>,
): Promise<Result> {
  const snapshot = await views.openSnapshot();
  try {
    return await work(snapshot);
  } finally {
    await snapshot.close();
  }
}
