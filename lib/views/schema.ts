/**
 * What the views keep beside their rows, in the schema `penstock`. Idempotent; run under an advisory lock. `scope` is 0
 * for what the projectors feed together, the version's id for a version under construction, which goes its own pace.
 *
 * - `view_versions`: the versions of each table; at most one is `live`. `retired_xid` is the transaction that swapped it out.
 * - `view_positions`: `next` offset to apply, `timestamp_ms` of the record before it (−1: not known), the `epoch` of
 *   whoever may move it, the group's `generation` at that claim, the id of the topic that it is in, and the `leader_epoch` of
 *   the record before it (NULL: not known), which counts only while `leader_epoch_at` is `next`: a projector of a release that
 *   knows neither leaves both behind. Whoever moves it locks it first and then looks which
 *   versions are live: a swap of versions locks all positions of the table's topics, so that the two never overlap.
 * - `view_sequences`: per topic, partition and key the last `ce_keysequence` that was applied.
 * - `view_tombstones`: per table version and key the newest tombstone, with and without a sequence: older records of
 *   that key which are read later feed nothing.
 */
export const viewMigrations: readonly string[] = [
  'CREATE SCHEMA IF NOT EXISTS penstock',
  'CREATE SCHEMA IF NOT EXISTS views',
  `CREATE TABLE IF NOT EXISTS penstock.view_versions (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     table_name text NOT NULL,
     version integer NOT NULL,
     relation text NOT NULL,
     state text NOT NULL CHECK (state IN ('building', 'live', 'retired')),
     plan json NOT NULL,
     fingerprint text NOT NULL,
     retired_xid xid8,
     retired_at timestamptz,
     created_at timestamptz NOT NULL DEFAULT now(),
     UNIQUE (table_name, version)
   )`,
  `CREATE UNIQUE INDEX IF NOT EXISTS view_versions_live ON penstock.view_versions (table_name) WHERE state = 'live'`,
  `CREATE TABLE IF NOT EXISTS penstock.view_positions (
     scope bigint NOT NULL,
     topic text NOT NULL,
     partition integer NOT NULL,
     next bigint NOT NULL,
     timestamp_ms bigint NOT NULL DEFAULT -1,
     epoch bigint NOT NULL DEFAULT 0,
     generation integer NOT NULL DEFAULT 0,
     topic_id text,
     leader_epoch integer,
     leader_epoch_at bigint,
     PRIMARY KEY (scope, topic, partition)
   ) WITH (fillfactor = 50)`,
  // Looked up first: the change would wait for every transaction that holds a position.
  `DO $$ BEGIN
     IF NOT EXISTS (SELECT FROM information_schema.columns
       WHERE table_schema = 'penstock' AND table_name = 'view_positions' AND column_name = 'topic_id') THEN
       ALTER TABLE penstock.view_positions ADD COLUMN topic_id text;
     END IF;
     IF NOT EXISTS (SELECT FROM information_schema.columns
       WHERE table_schema = 'penstock' AND table_name = 'view_positions' AND column_name = 'leader_epoch_at') THEN
       ALTER TABLE penstock.view_positions ADD COLUMN IF NOT EXISTS leader_epoch integer, ADD COLUMN leader_epoch_at bigint;
     END IF;
   END $$`,
  `CREATE TABLE IF NOT EXISTS penstock.view_sequences (
     scope bigint NOT NULL,
     key_hash bytea NOT NULL,
     topic text NOT NULL,
     partition integer NOT NULL,
     sequence bigint NOT NULL,
     PRIMARY KEY (key_hash, scope, topic, partition)
   ) WITH (fillfactor = 80)`,
  `CREATE TABLE IF NOT EXISTS penstock.view_tombstones (
     version_id bigint NOT NULL,
     key_hash bytea NOT NULL,
     topic smallint NOT NULL,
     partition integer NOT NULL,
     "offset" bigint NOT NULL,
     timestamp_ms bigint NOT NULL,
     sequence bigint,
     sequenced boolean NOT NULL,
     PRIMARY KEY (key_hash, version_id, sequenced)
   )`,
];
