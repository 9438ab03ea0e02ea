import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLScalarType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  parse,
  print,
} from 'graphql';

/** What one tab of the editor holds in the beginning. */
export interface Example {
  /** A document with one operation. */
  query: string;
  /** Its variables, as a JSON object. */
  variables: string;
}

type Field = GraphQLField<unknown, unknown>;

/** A selection goes this many levels below its root field: a connection's edges, their nodes, and what those hold. */
const mostLevels = 4;
/** A selection has about so many fields at most: more would not be read. */
const mostFields = 40;
const lineWidth = 80;
/** The size of a page in an example. */
const pageSize = 5;

/**
 * Returns operations to begin with, made of nothing but what introspection tells of the schema: a query of the first
 * fields that need no arguments, the first subscription, the first mutation, and the first one that needs arguments.
 * They are valid as they stand; the values of variables are placeholders.
 */
export function examplesOf(schema: GraphQLSchema): readonly Example[] {
  const queries = fieldsOf(schema.getQueryType());
  const mutations = fieldsOf(schema.getMutationType());
  const subscriptions = fieldsOf(schema.getSubscriptionType());
  const commands = new Set(mutations.map(({ name }) => name));
  // A subscription that is named as a mutation follows a command: it is no stream of records.
  const streams = subscriptions.filter(({ name }) => !commands.has(name));
  return [
    ...example('query', atOnce(queries, 2), [
      'Run this with Ctrl-Enter, or by the button',
      'with the triangle. It goes over HTTP.',
    ]),
    ...example('subscription', atOnce(streams, 1), [
      'Run this, make something happen elsewhere,',
      'and see it arrive. After the connection was',
      'lost, it goes on behind the last cursor.',
    ]),
    ...someMutations(mutations).flatMap(field =>
      example(
        'mutation',
        [field],
        field.args.some(isRequiredArgument)
          ? ['The values under Variables are placeholders:', 'put yours in their place.']
          : ['This runs as it is. What it takes is under', 'Variables.'],
      ),
    ),
  ];
}

/** Fields that run without anything being filled in, else the first one. */
function atOnce(fields: readonly Field[], most: number): readonly Field[] {
  const found = fields.filter(({ args }) => !args.some(isRequiredArgument)).slice(0, most);
  return found.length > 0 ? found : fields.slice(0, 1);
}

function someMutations(fields: readonly Field[]): readonly Field[] {
  const needing = fields.find(({ args }) => args.some(isRequiredArgument));
  return [...new Set([...fields.slice(0, 1), ...(needing === undefined ? [] : [needing])])];
}

function fieldsOf(type: GraphQLObjectType | null | undefined): readonly Field[] {
  const fields = Object.values(type?.getFields() ?? {});
  const current = fields.filter(({ deprecationReason }) => deprecationReason == null);
  return current.length > 0 ? current : fields;
}

function example(
  operation: 'query' | 'mutation' | 'subscription',
  fields: readonly Field[],
  comments: readonly string[],
): readonly Example[] {
  if (fields.length === 0) return [];
  const variables = fields.flatMap(({ args }) =>
    args.filter(arg => operation === 'mutation' || isRequiredArgument(arg)),
  );
  const budget = { fields: mostFields };
  const selections = fields.map(field => `${field.name}${argumentsOf(field, variables)}${selectionOf(field, budget)}`);
  const declared = declaredAs(variables);
  const name = nameOf(operation, fields);
  const text = `${operation} ${name}${declared} { ${selections.join(' ')} }`;
  const values = Object.fromEntries(variables.filter(({ default: given }) => given === undefined).map(placeholder));
  return [
    {
      query: `${comments.map(line => `# ${line}`).join('\n')}\n${inLines(print(parse(text)), declared)}\n`,
      variables: variables.length === 0 ? '' : `${JSON.stringify(values, undefined, 2)}\n`,
    },
  ];
}

function declaredAs(variables: readonly GraphQLArgument[]): string {
  if (variables.length === 0) return '';
  // An argument's default holds where its variable is not given, which may not be non-null then.
  const typeOf = ({ type, default: given }: GraphQLArgument) => (given === undefined ? type : getNullableType(type));
  return `(${variables.map(variable => `$${variable.name}: ${typeOf(variable)}`).join(', ')})`;
}

/** Variables stand one a line where they do not fit into one: `print` leaves them there. */
function inLines(text: string, declared: string): string {
  if (text.indexOf('\n') < lineWidth) return text;
  return text.replace(declared, () => `(\n  ${declared.slice(1, -1).replaceAll(', ', '\n  ')}\n)`);
}

/** The editor shows it as the tab's title: a query and a subscription of the same field should differ. */
function nameOf(operation: string, fields: readonly Field[]): string {
  const names = fields.map(({ name }) => name.charAt(0).toUpperCase() + name.slice(1));
  return names.join('And') + (operation === 'subscription' ? 'Live' : '');
}

function argumentsOf({ args }: Field, variables: readonly GraphQLArgument[]): string {
  const given = args.flatMap(arg => {
    if (variables.includes(arg)) return [`${arg.name}: $${arg.name}`];
    return arg.name === 'first' && getNamedType(arg.type).name === 'Int' ? [`first: ${pageSize}`] : [];
  });
  return given.length === 0 ? '' : `(${given.join(', ')})`;
}

/** An object of which nothing is selected: its field is left out. */
const nothingBelow = '';

interface Budget {
  fields: number;
}

function selectionOf({ type }: Field, budget: Budget, above: readonly GraphQLNamedType[] = []): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  const isFull = above.length >= mostLevels || above.includes(named);
  const fields = isFull || !(isObjectType(named) || isInterfaceType(named)) ? [] : Object.values(named.getFields());
  const selected = fields.flatMap(field => {
    if (field.deprecationReason != null || field.args.some(isRequiredArgument) || budget.fields <= 0) return [];
    if (isLeafType(getNamedType(field.type))) {
      budget.fields--;
      return [field.name];
    }
    const inner = selectionOf(field, budget, [...above, named]);
    return inner === nothingBelow ? [] : [field.name + inner];
  });
  if (selected.length > 0) return ` { ${selected.join(' ')} }`;
  return above.length > 0 ? nothingBelow : ' { __typename }';
}

function placeholder({ name, type }: GraphQLArgument): readonly [string, unknown] {
  return [name, isNonNullType(type) ? valueFor(name, type, []) : null];
}

/** Returns a value that the type accepts, as far as can be known: of a scalar of the app, introspection tells the name alone. */
function valueFor(name: string, type: GraphQLInputType, above: readonly GraphQLInputType[]): unknown {
  if (isNonNullType(type)) return valueFor(name, type.ofType, above);
  if (isListType(type)) return [valueFor(name, type.ofType, above)];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (isInputObjectType(type)) {
    if (above.includes(type)) return null;
    const required = Object.values(type.getFields()).filter(isRequiredInputField);
    const fields = type.isOneOf ? Object.values(type.getFields()).slice(0, 1) : required;
    return Object.fromEntries(fields.map(field => [field.name, valueFor(field.name, field.type, [...above, type])]));
  }
  return scalarFor(name, type);
}

const scalars: Readonly<Record<string, unknown>> = {
  Int: 1,
  Float: 1.5,
  Boolean: true,
  SafeInt: 1,
  Int64: '1',
  Decimal: '1.5',
  DateTime: '2026-01-31T12:00:00Z',
  Timestamp: '2026-01-31T12:00:00Z',
  Date: '2026-01-31',
  Time: '12:00:00Z',
  Duration: 'PT1H',
  UUID: '00000000-0000-4000-8000-000000000000',
  Bytes: 'AAEC',
  JSON: {},
};

/** Texts say that they are to be replaced; a scalar of an unknown name is taken for a number, as units and amounts are. */
function scalarFor(name: string, { name: typeName }: GraphQLScalarType): unknown {
  if (typeName === 'String' || typeName === 'ID') return `<${name}>`;
  return scalars[typeName] ?? 1;
}
