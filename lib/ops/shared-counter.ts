import { Counter, type Registry } from 'prom-client';

/** The registry's counter of this name, made if need be: for what two rooms count together. */
export function sharedCounter(registry: Registry, { name, help }: { name: string; help: string }): Counter {
  const known = registry.getSingleMetric(name);
  return known instanceof Counter ? known : new Counter({ name, help, registers: [registry] });
}
