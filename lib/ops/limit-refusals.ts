import { Counter, type Registry } from 'prom-client';
import { type Limit, limitOf } from '../errors.ts';

/** How a client came that a limit refused. */
export type Transport = 'http' | 'sse' | 'ws';

/** Counts what limits refuse. */
export interface LimitRefusals {
  count(limit: Limit, transport: Transport): void;
  /** Counts those of an answer's errors that are refusals by a limit. */
  countErrors(errors: readonly HasExtensions[] | undefined, transport: Transport): void;
}

interface HasExtensions {
  extensions?: Readonly<Record<string, unknown>> | undefined;
}

const name = 'penstock_limit_refused_total';

/** Several rooms of a process may open it: they count together. */
export function openLimitRefusals(registry: Registry): LimitRefusals {
  const known = registry.getSingleMetric(name);
  const refused =
    known instanceof Counter
      ? known
      : new Counter({
          name,
          help: 'What was refused by a limit, by the variable that sets it',
          labelNames: ['limit', 'transport'],
          registers: [registry],
        });
  const count = (limit: Limit, transport: Transport): void => refused.inc({ limit, transport });
  return {
    count,
    countErrors(errors = [], transport) {
      for (const { extensions } of errors) {
        const limit = extensions?.code === 'LIMIT_EXCEEDED' ? limitOf(extensions) : undefined;
        if (limit) count(limit, transport);
      }
    },
  };
}
