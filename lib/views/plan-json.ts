import { z } from 'zod';
import type { Shape, ShapeField, TablePlan, ValueKind } from '../app/plan.ts';
import { planHash } from './hashes.ts';

/**
 * A table plan as JSON, kept beside each version of a table: whoever meets the version later (a projector of a newer
 * schema, a gateway of an older one) knows from it what the columns hold. Types may contain each other, so that they
 * stand in a list of their own and refer to one another by name.
 */
export function formatTablePlan(plan: TablePlan): string {
  const types: Record<string, z.infer<typeof fieldSchema>[]> = {};
  collect(plan.shape, types);
  return JSON.stringify({
    name: plan.name,
    topics: plan.topics,
    id: plan.id,
    owner: plan.owner,
    type: plan.shape.typeName,
    types,
  });
}

/** @throws Error when the text is none of ours. */
export function parseTablePlan(text: string): TablePlan {
  const { types, type, ...rest } = planSchema.parse(JSON.parse(text));
  const shapes = new Map<string, { shape: Shape; fields: ShapeField[] }>();
  const shapeOf = (typeName: string): Shape => {
    const known = shapes.get(typeName);
    if (known) return known.shape;
    const fields: ShapeField[] = [];
    const shape: Shape = { typeName, fields };
    shapes.set(typeName, { shape, fields });
    for (const field of types[typeName] ?? []) {
      fields.push({ ...field, value: valueKindOf(field.value), anyOf: [] });
    }
    return shape;
  };
  const valueKindOf = (value: JsonValueKind): ValueKind => {
    if (value.kind === 'list') return { kind: 'list', of: valueKindOf(value.of), nonNull: value.nonNull };
    return value.kind === 'object' ? { kind: 'object', shape: shapeOf(value.type) } : value;
  };
  return { ...rest, shape: shapeOf(type) };
}

/** Raised when we lay tables out in another way: every table is then built anew. */
const layoutVersion = 1;

/** What a version of a table depends on: another fingerprint means that it must be built anew. */
export function fingerprintOf(plan: TablePlan): string {
  const known = fingerprints.get(plan);
  if (known !== undefined) return known;
  const { topics, types, ...rest } = JSON.parse(formatTablePlan(plan)) as z.infer<typeof planSchema>;
  const sortedTypes = Object.entries(types)
    .map(([name, fields]) => [name, fields.toSorted((a, b) => (a.name < b.name ? -1 : 1))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const fingerprint = planHash(JSON.stringify([layoutVersion, rest, topics.toSorted(), sortedTypes]));
  fingerprints.set(plan, fingerprint);
  return fingerprint;
}

const fingerprints = new WeakMap<TablePlan, string>();

type JsonValueKind =
  | { kind: 'String' | 'ID' | 'Boolean' | 'Int' | 'Float' | 'SafeInt' | 'DateTime' | 'JSON' }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'list'; of: JsonValueKind; nonNull: boolean }
  | { kind: 'object'; type: string };

const valueSchema: z.ZodType<JsonValueKind> = z.lazy(() =>
  z.union([
    z.object({ kind: z.enum(['String', 'ID', 'Boolean', 'Int', 'Float', 'SafeInt', 'DateTime', 'JSON']) }),
    z.object({ kind: z.literal('enum'), values: z.array(z.string()) }),
    z.object({ kind: z.literal('list'), of: valueSchema, nonNull: z.boolean() }),
    z.object({ kind: z.literal('object'), type: z.string() }),
  ]),
);

const fieldSchema = z.object({
  name: z.string(),
  source: z.string(),
  envelope: z.boolean(),
  nonNull: z.boolean(),
  value: valueSchema,
});

const planSchema = z.object({
  name: z.string(),
  topics: z.array(z.string()),
  id: z.array(z.string()),
  owner: z.string(),
  type: z.string(),
  types: z.record(z.string(), z.array(fieldSchema)),
});

function collect(shape: Shape, types: Record<string, z.infer<typeof fieldSchema>[]>): void {
  if (Object.hasOwn(types, shape.typeName)) return;
  const fields: z.infer<typeof fieldSchema>[] = [];
  types[shape.typeName] = fields;
  for (const { name, source, envelope, nonNull, value } of shape.fields) {
    fields.push({ name, source, envelope, nonNull, value: jsonOf(value, types) });
  }
}

function jsonOf(value: ValueKind, types: Record<string, z.infer<typeof fieldSchema>[]>): JsonValueKind {
  if (value.kind === 'list') return { kind: 'list', of: jsonOf(value.of, types), nonNull: value.nonNull };
  if (value.kind !== 'object') return value;
  collect(value.shape, types);
  return { kind: 'object', type: value.shape.typeName };
}
