import type { GraphQLSchema } from 'graphql';

/**
 * What an app's schema compiles to, once, at start. Everything downstream (gateway, projector, topic creation)
 * works from this plan and never looks at directives again.
 */
export interface AppPlan {
  /**
   * Directives and scalars of ours included. Below the root fields it resolves by name, and checks `@requiresRole`
   * against `context.caller.roles`; the root fields have no resolvers.
   */
  schema: GraphQLSchema;
  /** Every topic that the schema names, in order of first mention. They share one partition count. */
  topics: readonly TopicPlan[];
  /** Subscription fields with `@records`, by field name. */
  streams: ReadonlyMap<string, StreamPlan>;
  /** Mutation and Subscription fields with `@command`, by `Mutation.field` or `Subscription.field`. */
  commands: ReadonlyMap<string, CommandPlan>;
  /** Query fields with `@view`, by field name. */
  views: ReadonlyMap<string, ViewPlan>;
  /** What the projector keeps, by table name. */
  tables: ReadonlyMap<string, TablePlan>;
}

export interface TopicPlan {
  name: string;
  usedAs: ReadonlySet<'records' | 'command' | 'feedback' | 'table'>;
}

export type Scope = 'OWN' | 'ALL';
export type Op = 'EQ' | 'NE' | 'LT' | 'LTE' | 'GT' | 'GTE' | 'CONTAINS' | 'IN';

/** How a value of a GraphQL type looks in a record and in a result. */
export type ValueKind =
  | { kind: 'String' | 'ID' | 'Boolean' | 'Int' | 'Float' | 'SafeInt' | 'DateTime' | 'JSON' }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'list'; of: ValueKind; nonNull: boolean }
  | { kind: 'object'; shape: Shape };

/** The record's envelope, usable wherever a record's field is. */
export type EnvelopeField = '_key' | '_topic' | '_partition' | '_offset' | '_timestamp' | '_sequence' | '_headers';

export interface ShapeField {
  /** Name in GraphQL. */
  name: string;
  /** The record's own field (after `@from`), or a name of the envelope. */
  source: string;
  envelope: boolean;
  nonNull: boolean;
  value: ValueKind;
  /** Roles of `@requiresRole` on the field itself; empty when it has none. The schema's resolvers enforce them. */
  anyOf: readonly string[];
}

/** An object type as records fill it. Fields that resolve elsewhere (none today) are not in it. */
export interface Shape {
  typeName: string;
  fields: readonly ShapeField[];
}

/** One argument that filters: `source op argument`. An absent or null argument filters nothing. */
export interface ArgumentFilter {
  argument: string;
  field: ShapeField;
  op: Op;
}

export interface StreamPlan {
  field: string;
  topic: string;
  scope: Scope;
  shape: Shape;
  filters: readonly ArgumentFilter[];
  /** Any one of these roles is enough; empty: no role needed. */
  anyOf: readonly string[];
  /** Of each of these lists one role is needed as well: `@requiresRole` on the result's type or on the root type. */
  alsoAnyOf: readonly (readonly string[])[];
}

export interface CommandPlan {
  parent: 'Mutation' | 'Subscription';
  field: string;
  topic: string;
  /** `ce_type`. */
  type: string;
  feedback: string;
  timeoutMs: number;
  shape: Shape;
  anyOf: readonly string[];
  /** Of each of these lists one role is needed as well: `@requiresRole` on the result's type or on the root type. */
  alsoAnyOf: readonly (readonly string[])[];
}

export interface ViewPlan {
  field: string;
  table: TablePlan;
  kind: 'row' | 'list' | 'connection';
  shape: Shape;
  filters: readonly ArgumentFilter[];
  /** Empty: rows whose owner is the caller and no others. Else any of these roles sees every row. */
  anyOf: readonly string[];
  /** Of each of these lists one role is needed as well: `@requiresRole` on the result's type or on the root type. */
  alsoAnyOf: readonly (readonly string[])[];
}

export interface TablePlan {
  name: string;
  topics: readonly string[];
  shape: Shape;
  /** GraphQL field names that identify a row. */
  id: readonly string[];
  /** A record field or envelope name whose value is the owner; `_key` by default. */
  owner: string;
}
