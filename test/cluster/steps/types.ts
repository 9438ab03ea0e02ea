import type { Stage } from '../stage.ts';

/** Something that is done to the cluster while clients listen. */
export interface Step {
  /** As in the table. */
  name: string;
  /** Whether it is a planned change: those have a bound for the longest gap. */
  planned: boolean;
  /** Resolves when the cluster is whole again, to a remark for the table. */
  run(stage: Stage): Promise<string>;
}
