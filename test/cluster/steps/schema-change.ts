import { until } from '../../support/until.ts';
import { app } from '../objects/bank.ts';
import { allSettled } from './new-image.ts';
import type { Step } from './types.ts';

/** A field more of the type that streams and tables share: what clients may select, and a column of both tables. */
const field = '  sequence: SafeInt @from(field: "_sequence")\n';

export const schemaChange: Step = {
  name: "a field and a column more in the app's schema",
  planned: true,
  async run(stage) {
    const changed = stage.schema.replace('  descr: String!\n  time: DateTime!\n', found => found + field);
    if (changed === stage.schema) throw new Error('the schema has no place for the new field');
    await stage.cluster.apply([app('app-2', changed)]);
    await stage.upgrade({ app: { existingConfigMap: 'app-2' } });
    await allSettled(stage);
    const [user] = stage.load.clients.users.values();
    await until(
      'the new column to be filled',
      async () => {
        const answer = await user
          ?.post('{ transactions(first: 5) { edges { node { id sequence } } } }')
          .catch(() => undefined);
        const page = answer?.data.transactions as { edges: { node: { sequence: number | null } }[] } | undefined;
        return page !== undefined && page.edges.length > 0 && page.edges.every(({ node }) => Number(node.sequence) > 0);
      },
      90_000,
      500,
    );
    return 'another ConfigMap by helm upgrade; the tables are built anew beside the old ones';
  },
};
