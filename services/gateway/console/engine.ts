import { allows } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import type { FleetPublisher, FleetTopic } from '../../../lib/fleet/index.ts';
import { partitionOf } from '../../../lib/kafka/index.ts';
import type { Ownership } from '../../../lib/ownership/types.ts';
import type { Clients } from '../clients.ts';
import type { Engine, OwnQuery } from '../graphql/engine.ts';
import type { Call } from '../graphql/request.ts';
import { consoleRole, type ownQueries } from './schema.ts';
import { stateNames } from './state.ts';

export interface ConsoleParts {
  topicName: string;
  publisher: Pick<FleetPublisher, 'topic' | 'instance'>;
  ownership: Pick<Ownership, 'tenure' | 'partitionCount'>;
  clients: Pick<Clients, 'count'>;
}

/** Returns the queries that a gateway answers itself, for operators. */
export function consoleQueries(parts: ConsoleParts): ReadonlyMap<(typeof ownQueries)[number], OwnQuery> {
  const { publisher, ownership, clients } = parts;
  const { instance } = publisher;
  return new Map<(typeof ownQueries)[number], OwnQuery>([
    [
      'console',
      (_args, call) => {
        requireRole(call, 'console');
        const found = publisher.topic() ?? starting;
        const available = found.kind === 'there';
        const { partitionCount } = ownership;
        return { topic: parts.topicName, available, advice: available ? null : found.advice, partitionCount, instance };
      },
    ],
    [
      'sessions',
      ({ user }, call) => {
        requireRole(call, 'sessions');
        const partition = partitionOf(String(user), ownership.partitionCount);
        const tenure = stateNames[ownership.tenure(partition).state];
        const connections = clients.count(partition, ({ userKey }) => userKey === user);
        return { partition, instance, tenure, connections };
      },
    ],
  ]);
}

const starting = {
  kind: 'missing',
  advice: 'this gateway has not found the topic yet: look again in a moment',
} as const;

function requireRole({ caller }: Call, field: string): void {
  if (allows({ anyOf: [consoleRole], alsoAnyOf: [] }, caller)) return;
  throw new PenstockError('FORBIDDEN', `${field} needs a role that you don't have`);
}

/**
 * The console's engine: queries are always answered; a subscription says what to do where there is no topic to stream.
 * @param open the engine over a topic of so many partitions; opened when it is needed.
 */
export function openConsoleEngine(open: (partitions: number) => Engine, topic: () => FleetTopic | undefined): Engine {
  let opened: { engine: Engine; partitions: number } | undefined;
  const engineFor = (partitions: number): Engine => {
    if (opened?.partitions !== partitions) opened = { engine: open(partitions), partitions };
    return opened.engine;
  };
  const current = (): Engine => opened?.engine ?? engineFor(1);
  return {
    get schema() {
      return current().schema;
    },
    prepare: request => current().prepare(request),
    runsCommand: () => false,
    execute: (prepared, call) => current().execute(prepared, call),
    async subscribe(prepared, call) {
      const found = topic() ?? starting;
      // Who may not see it gets FORBIDDEN, whether it is there or not.
      if (found.kind === 'there') return engineFor(found.partitions).subscribe(prepared, call);
      requireRole(call, 'instances');
      throw new PenstockError('UNAVAILABLE', found.advice);
    },
  };
}
