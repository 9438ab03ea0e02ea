/**
 * `node jobs/setup.js topics|tables --services router,gateway,command-handler,projector`: creates what the services that are named keep
 * in Kafka or in PostgreSQL, and ends. It does what these services do at their start, and only adds: it may run again, beside itself,
 * and beside services of this version and of the one before. The chart runs it before an installation and before an upgrade.
 */
import { parseArgs } from 'node:util';
import { runJob } from './run-job.ts';
import { createTables } from './setup/tables.ts';
import { createTopics } from './setup/topics.ts';

const services = ['router', 'gateway', 'command-handler', 'projector'] as const;
export type Service = (typeof services)[number];

const usage = `usage: setup.js topics|tables --services <some of ${services.join(',')}>`;

runJob('setup', async log => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { services: { type: 'string' } } });
  const named = new Set((values.services ?? '').split(','));
  const unknown = [...named].filter(name => !services.some(service => service === name));
  const [what] = positionals;
  if (unknown.length > 0 || positionals.length !== 1) throw new Error(usage);
  const run = { env: process.env, services: new Set(services.filter(service => named.has(service))), log };
  if (what === 'topics') await createTopics(run);
  else if (what === 'tables') await createTables(run);
  else throw new Error(usage);
});
