/**
 * The handler's own tables. One database serves one app. Keys are compared bytewise (COLLATE "C"), so that the order
 * in which rows are locked is the same everywhere.
 */
export const migrations = [
  'CREATE SCHEMA IF NOT EXISTS penstock',
  // Where each command partition is, and whose transactions count: `epoch` rises with every claim.
  `CREATE TABLE IF NOT EXISTS penstock.command_positions (
    topic text COLLATE "C",
    partition integer,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL,
    topic_id text,
    leader_epoch integer,
    leader_epoch_at bigint,
    PRIMARY KEY (topic, partition)
  ) WITH (fillfactor = 50)`,
  // Of the topic that the position is in; NULL where it was reached before ids were kept. Looked up first: the change
  // would wait for every transaction that holds a position.
  `DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM information_schema.columns
      WHERE table_schema = 'penstock' AND table_name = 'command_positions' AND column_name = 'topic_id') THEN
      ALTER TABLE penstock.command_positions ADD COLUMN topic_id text;
    END IF;
  END $$`,
  // Of the record before the position, under which leader it was appended: tells a log that was truncated since. NULL where
  // that is not known. It counts only while `leader_epoch_at` is the position: a handler of a release that knows neither column moves
  // the position, and leaves both behind.
  `DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM information_schema.columns
      WHERE table_schema = 'penstock' AND table_name = 'command_positions' AND column_name = 'leader_epoch_at') THEN
      ALTER TABLE penstock.command_positions ADD COLUMN IF NOT EXISTS leader_epoch integer, ADD COLUMN leader_epoch_at bigint;
    END IF;
  END $$`,
  // The partition count that the outbox was written for.
  `CREATE TABLE IF NOT EXISTS penstock.command_partitions (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    partitions integer NOT NULL
  )`,
  // Last sequence number of each key, over all topics.
  `CREATE TABLE IF NOT EXISTS penstock.key_sequences (
    user_key text COLLATE "C" PRIMARY KEY,
    sequence bigint NOT NULL
  ) WITH (fillfactor = 70)`,
  `CREATE TABLE IF NOT EXISTS penstock.verdicts (
    user_key text COLLATE "C",
    command_id text COLLATE "C",
    sequence bigint NOT NULL,
    topic text NOT NULL,
    event_id text NOT NULL,
    traceparent text,
    time_ms bigint NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (user_key, command_id)
  )`,
  // Written, and perhaps not yet in the log. The partition is that of the row's own key: together they are one index,
  // for a key's rows as for a partition's. `announced`: its writer did not own the partition.
  `CREATE TABLE IF NOT EXISTS penstock.outbox (
    partition integer,
    user_key text COLLATE "C",
    sequence bigint,
    repetition bigint NOT NULL,
    announced boolean NOT NULL,
    topic text NOT NULL,
    event_id text NOT NULL,
    command_id text,
    traceparent text,
    time_ms bigint NOT NULL,
    value text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, user_key, sequence)
  ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000)`,
  'CREATE SEQUENCE IF NOT EXISTS penstock.repetition',
  // A row says that the ledger has gone back: nobody claims a partition while it is there (ledger-fault.ts).
  `CREATE TABLE IF NOT EXISTS penstock.ledger_fault (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    reason text NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  // What lies below these offsets was dealt with by ledger-reconcile, or was cut off a command log: it is no evidence against
  // the ledger any more.
  `CREATE TABLE IF NOT EXISTS penstock.reconciled_logs (
    topic text COLLATE "C",
    partition integer,
    topic_id text NOT NULL,
    end_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
  )`,
];
