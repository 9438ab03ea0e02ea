import { decodeJwt } from 'jose';
import { z } from 'zod';
import { type AppPlan, type ArgumentFilter, allows, type StreamPlan } from '../../lib/app/index.ts';
import type { Session } from './session.ts';

/** Asks for `__typename`, and subscribes to the first `@records` field that the token's roles allow until a ping brings its cursor. */
export async function testSchema({ accessToken, post, subscribe, say }: Session, plan: AppPlan): Promise<void> {
  const { __typename } = await post('{ __typename }');
  say(`the query type is ${String(__typename)}`);
  const roles = rolesOf(accessToken);
  const streams = [...plan.streams.values()];
  if (streams.length === 0) return say('the schema has no @records field: there is nothing to subscribe to');
  const stream = streams.find(each => allows(each, { roles }));
  if (stream === undefined) {
    const names = streams.map(({ field }) => field).join(', ');
    throw new Error(`the token's roles (${roles.join(', ') || 'none'}) allow none of the @records fields ${names}`);
  }
  const { query, variables } = subscriptionTo(stream, plan);
  await subscribe(query, variables).cursor();
  say(`subscribed to ${stream.field}, and got the first cursor`);
}

function rolesOf(accessToken: string): readonly string[] {
  return z.array(z.string()).catch([]).parse(decodeJwt(accessToken).roles);
}

/** Returns the least that the field can be asked for: required arguments have a value of their type that need not match any record. */
export function subscriptionTo(
  { field, filters }: StreamPlan,
  plan: AppPlan,
): { query: string; variables: Record<string, unknown> } {
  const declared = plan.schema.getSubscriptionType()?.getFields()[field]?.args ?? [];
  const required = declared.filter(({ type, defaultValue, default: given }) => {
    return String(type).endsWith('!') && defaultValue === undefined && given === undefined;
  });
  const types = required.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const values = required.map(({ name }) => `${name}: $${name}`).join(', ');
  const head = required.length === 0 ? `subscription { ${field}` : `subscription(${types}) { ${field}(${values})`;
  const variables = required.map(({ name }) => [
    name,
    placeholderOf(filters.find(({ argument }) => argument === name)),
  ]);
  return { query: `${head} { __typename } }`, variables: Object.fromEntries(variables) };
}

function placeholderOf(filter: ArgumentFilter | undefined): unknown {
  if (filter === undefined || filter.op === 'CONTAINS') return '';
  if (filter.op === 'IN') return [];
  const { value } = filter.field;
  switch (value.kind) {
    case 'Boolean':
      return false;
    case 'Int':
    case 'Float':
    case 'SafeInt':
      return 0;
    case 'DateTime':
      return '1970-01-01T00:00:00Z';
    case 'enum':
      return value.values[0];
    case 'list':
      return [];
    case 'object':
    case 'JSON':
      return {};
    default:
      return '';
  }
}
