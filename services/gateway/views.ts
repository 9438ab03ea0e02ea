import { allows, type ViewPlan } from '../../lib/app/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import type { ViewSnapshot, Views } from '../../lib/views/types.ts';
import type { Call } from './graphql/request.ts';
import type { Cursors } from './streams/cursors.ts';

/** The views that one operation reads: all in one snapshot, which opens with the first of them. */
export interface Reading {
  read(view: ViewPlan, args: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** What the operation has seen; undefined when it read no view. */
  cursor(): Promise<string | undefined>;
  close(): Promise<void>;
}

export function openReading(views: Views, cursors: Cursors, { caller, signal }: Call): Reading {
  let opening: Promise<ViewSnapshot> | undefined;
  return {
    async read(view, args) {
      if (!allows(view, caller)) {
        throw new PenstockError('FORBIDDEN', `${view.field} needs a role that you don't have`);
      }
      opening ??= views.openSnapshot(signal);
      const snapshot = await opening;
      return snapshot.read(view, args, { userKey: caller.userKey, everyRow: view.anyOf.length > 0 });
    },
    async cursor() {
      if (!opening) return undefined;
      const snapshot = await opening.catch(() => undefined);
      const position = await snapshot?.position(caller.userKey);
      // A view that could not be read has no position to go on from.
      return position && position.partitions.length > 0 ? cursors.ofView(caller.userKey, position) : undefined;
    },
    async close() {
      const snapshot = await opening?.catch(() => undefined);
      await snapshot?.close();
    },
  };
}
