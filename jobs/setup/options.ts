import type { Logger } from '../../lib/ops/index.ts';

/** One run of the set-up. */
export interface SetUp {
  env: Readonly<Record<string, string | undefined>>;
  /** The services whose topics or tables are created. */
  services: ReadonlySet<string>;
  log: Logger;
}
