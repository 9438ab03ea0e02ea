import { test } from 'node:test';
import { assertRefused } from '../../support/schemas.ts';

/** A type to build on; what a test is about stands beside it. */
const query = 'type Query { _: Boolean }\n';
const row =
  'type Row @table(name: "rows", topics: ["t"], id: ["id"]) { id: ID! size: Int on: Boolean tags: [String!] }\n';
const subscription = (field: string): string => `${query}${row}type Subscription { ${field} }`;
const mutation = (field: string): string => `${query}type Done { ok: Boolean! }\ntype Mutation { ${field} }`;
const view = (field: string): string => `${row}type Query { ${field} }`;

const tables: Readonly<Record<string, Readonly<Record<string, { schema: string; says: readonly string[] }>>>> = {
  'GraphQL itself': {
    'a syntax error': {
      schema: 'type Query {\n  a: ^}',
      says: ['Syntax Error: Expected Name, found "}".'],
    },
    'an empty text': { schema: '^', says: ['Syntax Error: Unexpected <EOF>.'] },
    'several unknown names, each once however often used': {
      schema: `${query}type A { b: ^Missing }\ntype Subscription { a(b: ^Missing): A @records(topic: "t") ^@oops }`,
      says: ['Unknown type "Missing".', 'Unknown type "Missing".', 'Unknown directive "@oops".'],
    },
    'a scalar of ours that is not declared': {
      schema: `${query}type A { at: ^DateTime! }`,
      says: ['Unknown type "DateTime". (declare it: scalar DateTime)'],
    },
    'a type defined twice': {
      schema: `${query}type ^A { a: Int }\ntype A { b: Int }`,
      says: ['There can be only one type named "A".'],
    },
    'an input type where an output type belongs': {
      schema: `${query}input In { a: Int }\ntype A { in: ^In }`,
      says: ['The type of A.in must be Output Type but got: In.'],
    },
    'a default that its type refuses': {
      schema: `scalar SafeInt\ntype R @table(name: "r", topics: ["t"], id: ["n"]) { n: SafeInt! }\ntype Query { r(n: SafeInt = ^1.5): R @view(table: "r") }`,
      says: ['Query.r(n:) has invalid default value: SafeInt must be an integer within ±(2^53 − 1), not 1.5'],
    },
    'no query type': {
      schema: '^type A { a: Int }',
      says: [
        'Query root type must be provided. (GraphQL asks for one; an app without views writes: type Query { _: Boolean })',
      ],
    },
    'an operation in the schema': {
      schema: `${query}^query { _ }`,
      says: ['an operation or fragment has no place in a schema: remove it'],
    },
    'a missing directive argument, told once': {
      schema: subscription('rows: Row! ^@records'),
      says: ['Argument "@records(topic:)" of type "String!" is required, but it was not provided.'],
    },
    'a directive argument of a wrong type': {
      schema: subscription('rows: Row! @records(topic: ^5)'),
      says: ['Argument "@records(topic:)" has invalid value: String cannot represent a non string value: 5'],
    },
    'a directive in a wrong place': {
      schema: `${query}type A { a(b: Int ^@from(field: "x")): Int }`,
      says: ['Directive "@from" may not be used on ARGUMENT_DEFINITION.'],
    },
  },
  "the gateway's own names": {
    'a directive of ours defined again': {
      schema: `directive @^records(topic: String!) on FIELD_DEFINITION\n${query}`,
      says: ["directive @records is the gateway's own: remove it"],
    },
    'an enum of ours defined again or extended': {
      schema: `enum ^Op { EQ }\nextend enum ^Scope { MINE }\n${query}`,
      says: ["type Op is the gateway's own: remove it", "type Scope is the gateway's own: remove it"],
    },
    "a scalar of GraphQL's own": { schema: `scalar ^ID\n${query}`, says: ["type ID is GraphQL's own: remove it"] },
  },
  scalars: {
    'a scalar that nobody knows': {
      schema: `${query}^scalar Money`,
      says: ['scalar Money: say what it is with @scalar(as: "SafeInt", "DateTime" or "JSON")'],
    },
    'a described scalar that nobody knows: its name is the place': {
      schema: `${query}"Whole cents."\nscalar ^Money`,
      says: ['scalar Money: say what it is with @scalar(as: "SafeInt", "DateTime" or "JSON")'],
    },
    'an unknown meaning': {
      schema: `${query}scalar Money @scalar(as: ^"Decimal")`,
      says: ['@scalar(as: "Decimal") is not known: use "SafeInt", "DateTime" or "JSON"'],
    },
    'a meaning against the name': {
      schema: `${query}scalar DateTime @scalar(as: ^"SafeInt")`,
      says: ["scalar DateTime can't be a SafeInt: give it another name"],
    },
  },
  'root fields': {
    'without a directive': {
      schema: `type Query { ^a: Int }\ntype Mutation { ^b: Int }\ntype Subscription { ^c: Int }`,
      says: [
        'a has no directive that says where its result comes from: add @view',
        'b has no directive that says where its result comes from: add @command',
        'c has no directive that says where its result comes from: add @records or @command',
      ],
    },
    'with a directive of another operation': {
      schema: `${row}type Query { a: Row ^@records(topic: "t") b: Row ^@command(topic: "c", type: "b", feedback: "f") }
type Mutation { c: Row ^@view(table: "rows") d: Row ^@records(topic: "t") }
type Subscription { e: Row ^@view(table: "rows") }`,
      says: [
        'a: @records has no place here, only @view',
        'b: @command has no place here, only @view',
        'c: @view has no place here, only @command',
        'd: @records has no place here, only @command',
        'e: @view has no place here, only @records or @command',
      ],
    },
    'with two directives': {
      schema: subscription('a: Row @records(topic: "t") ^@command(topic: "c", type: "a", feedback: "f")'),
      says: ['a has both @records and @command: it can only be one of them'],
    },
    'directives below the roots': {
      schema: `${query}type A { a: Int ^@view(table: "rows") b(c: Int ^@where(field: "a")): Int ^@records(topic: "t") }
input I { a: Int }
interface F { a: Int ^@from(field: "b") }`,
      says: [
        'A.a: @view belongs on a field of an operation type, not on A',
        'A.b(c:): @where belongs on arguments of operation fields',
        'A.b: @records belongs on a field of an operation type, not on A',
        'F.a: @from has no effect on an interface: write it on the object types',
      ],
    },
    '@from on a root field': {
      schema: view('rows: [Row!]! @view(table: "rows") ^@from(field: "x")'),
      says: ['Query.rows: @from belongs on the fields of a type that records fill'],
    },
    '@table on a root type': {
      schema: `${row}type Query ^@table(name: "q", topics: ["t"], id: ["row"]) { row: Row @view(table: "rows") }`,
      says: ['@table belongs on a type that records fill, not on Query'],
    },
    'a non-null placeholder': {
      schema: 'type Query { ^_: Boolean! }',
      says: ['_ has no directive that says where its result comes from: add @view'],
    },
  },
  streams: {
    'scope ALL without a role': {
      schema: subscription('rows: Row! @records(topic: "t", scope: ^ALL)'),
      says: ["rows: scope ALL shows everybody's records and needs @requiresRole"],
    },
    'scope ALL with an empty list of roles': {
      schema: subscription('rows: Row! @records(topic: "t", scope: ^ALL) @requiresRole(anyOf: ^[])'),
      says: [
        "rows: scope ALL shows everybody's records and needs @requiresRole",
        '@requiresRole names no role: nobody could use this; name one or remove it',
      ],
    },
    'a role without a name': {
      schema: subscription('rows: Row! @records(topic: "t", scope: ALL) @requiresRole(anyOf: ["a", ^" "])'),
      says: ['@requiresRole: a role needs a name'],
    },
    'an empty topic, and one that Kafka refuses': {
      schema: subscription(
        'a: Row! @records(topic: ^"") b: Row! @records(topic: ^"a/b") c: Row! @records(topic: ^"..")',
      ),
      says: [
        'topic "" needs a name',
        "topic \"a/b\" is no name that Kafka takes: use letters, digits, '.', '_' and '-'",
        "topic \"..\" is no name that Kafka takes: use letters, digits, '.', '_' and '-'",
      ],
    },
    'a topic with too long a name': {
      schema: subscription(`a: Row! @records(topic: ^"${'x'.repeat(246)}")`),
      says: [`topic "${'x'.repeat(246)}" is longer than 245 characters`],
    },
    'two topics that Kafka takes for one': {
      schema: subscription('a: Row! @records(topic: "a.b") b: Row! @records(topic: ^"a_b")'),
      says: ['topic "a_b" and topic "a.b" can\'t both exist: Kafka takes . and _ for the same'],
    },
    'a list of objects, a scalar, an operation type': {
      schema: subscription(
        'a: ^[Row!]! @records(topic: "t") b: ^String @records(topic: "t") c: ^Query @records(topic: "t")',
      ),
      says: [
        'a: each record becomes one object, so that its type must be an object type, not [Row!]!',
        'b: each record becomes one object, so that its type must be an object type, not String',
        'c: each record becomes one object, so that its type must be an object type, not Query',
      ],
    },
    'interfaces and unions': {
      schema: `${query}interface I { a: Int }\ntype A implements I { a: Int i: ^I u: ^[U] q: ^Query }\nunion U = A
type Subscription { i: ^I! @records(topic: "t") a: A @records(topic: "t") }`,
      says: [
        "A.i: I is an interface or union; a record's field needs an object type, a scalar or an enum",
        "A.u: U is an interface or union; a record's field needs an object type, a scalar or an enum",
        "A.q: Query is an operation type; a record's field needs an object type, a scalar or an enum",
        'i: each record becomes one object, so that its type must be an object type, not I!',
      ],
    },
    'a field with arguments in a record': {
      schema: `${query}type A { a(^unit: String): Int }\ntype Subscription { a: A @records(topic: "t") }`,
      says: ['A.a: a field that records fill takes no arguments: remove them'],
    },
    'a type that needs itself, at once or through another': {
      schema: `${query}type A { a: ^A! }\ntype B { c: ^C! }\ntype C { b: ^B! }\ntype D { d: D e: [D!]! }
type Subscription { a: A @records(topic: "t") b: B @records(topic: "t") d: D @records(topic: "t") }`,
      says: [
        'A.a can never be filled: A needs itself; make a field on the way nullable',
        'B.c can never be filled: B needs itself; make a field on the way nullable',
        'C.b can never be filled: C needs itself; make a field on the way nullable',
      ],
    },
    'envelope fields of impossible types': {
      schema: `${query}scalar DateTime\nscalar SafeInt\nscalar JSON
type A { _key: ^Int _topic: ^Boolean _partition: ^String _offset: ^Int _timestamp: ^String _sequence: ^Int _headers: ^String k: ^[ID] @from(field: "_key") }
type B { _key: ID! _topic: ID _partition: Int! _offset: SafeInt! _timestamp: DateTime! ms: SafeInt @from(field: "_timestamp") _sequence: SafeInt _headers: JSON }
type Subscription { a: A @records(topic: "t") b: B @records(topic: "t") }`,
      says: [
        'A._key: _key can only be ID or String',
        'A._topic: _topic can only be String or ID',
        'A._partition: _partition can only be Int or SafeInt',
        'A._offset: _offset can only be SafeInt',
        'A._timestamp: _timestamp can only be DateTime or SafeInt',
        'A._sequence: _sequence can only be SafeInt',
        'A._headers: _headers can only be JSON',
        'A.k: _key can only be ID or String',
      ],
    },
    'envelope fields in a nested type': {
      schema: `${query}type A { b: ^[B!] }\ntype B { at: ID @from(field: "_key") }\ntype Subscription { a: A @records(topic: "t") }`,
      says: ["A.b: B.at is _key of the record's envelope, which only a record's own type has"],
    },
    'an empty @from': {
      schema: `${query}type A { a: Int @from(field: ^"") }\ntype Subscription { a: A @records(topic: "t") }`,
      says: ["A.a: @from needs the name of a record's field"],
    },
  },
  filters: {
    'an unknown field': {
      schema: subscription('a(x: Int @where(field: ^"siez")): Row @records(topic: "t")'),
      says: ['Row has no field "siez" (it has id, size, on, tags)'],
    },
    "an argument that is no field's name": {
      schema: subscription('a(^x: Int): Row @records(topic: "t")'),
      says: ['Row has no field "x" (it has id, size, on, tags); say with @where what the argument filters'],
    },
    'operators that do not fit the field': {
      schema: subscription(
        'a(a: String @where(field: "size", op: ^CONTAINS) b: Boolean @where(field: "on", op: ^LT) c: String @where(field: ^"tags") d: [Boolean!] @where(field: "on", op: ^IN)): Row @records(topic: "t")',
      ).replace('^"tags"', '"tags", op: ^EQ'),
      says: [
        'CONTAINS compares a String or an ID, but Row.size is Int',
        'LT compares what has an order: a number, a text or a DateTime, but Row.on is Boolean',
        'EQ compares a scalar other than JSON, or an enum, but Row.tags is a list',
        'IN compares a scalar other than Boolean and JSON, or an enum, but Row.on is Boolean',
      ],
    },
    'an order of enums, and an enum of another type': {
      schema: `${query}enum A { X Y }\nenum B { X Y }\ntype R { a: A j: J }\nscalar J @scalar(as: "JSON")
type Subscription { r(a: A @where(field: "a", op: ^GT) b: ^B @where(field: "a") c: ^String @where(field: "a") d: J @where(field: "j", op: ^NE) e: [A!] @where(field: "a", op: IN)): R @records(topic: "t") }`,
      says: [
        'GT compares what has an order: a number, a text or a DateTime, but R.a is an enum',
        "B can't be compared with R.a, which is A",
        "String can't be compared with R.a, which is A",
        'NE compares a scalar other than JSON, or an enum, but R.j is JSON',
      ],
    },
    'IN without a list, a list without IN': {
      schema: subscription(
        'a(a: ^Int @where(field: "size", op: IN) b: ^[Int!] @where(field: "size", op: GT) size: ^[Int]): Row @records(topic: "t")',
      ),
      says: [
        'IN compares with a list: make it [Int!]',
        'GT compares with one value, not with a list: for a list, say op: IN',
        'EQ compares with one value, not with a list: for a list, say op: IN',
      ],
    },
    'arguments of other types': {
      schema: subscription(
        'a(a: ^String @where(field: "size") b: ^Int @where(field: "id") c: ^Float @where(field: "size", op: LT) d: ^[[Int]] @where(field: "size", op: IN) e: ^In @where(field: "size")): Row @records(topic: "t")',
      ).concat('\ninput In { a: Int }'),
      says: [
        "String can't be compared with Row.size, which is Int",
        "Int can't be compared with Row.id, which is ID",
        "Float can't be compared with Row.size, which is Int",
        "[Int] can't be compared with Row.size, which is Int",
        "In can't be compared with Row.size, which is Int",
      ],
    },
    'a filter by what not everybody may read': {
      schema: `${query}type R { a: Int s: Int @requiresRole(anyOf: ["boss"]) }
type Subscription {
  a(^s: Int): R @records(topic: "t")
  b(^s: Int): R @records(topic: "t") @requiresRole(anyOf: ["boss", "clerk"])
  c(s: Int): R @records(topic: "t") @requiresRole(anyOf: ["boss"])
}`,
      says: [
        "s would let callers find out R.s, which needs a role: require it for the operation's field too",
        "s would let callers find out R.s, which needs a role: require it for the operation's field too",
      ],
    },
  },
  commands: {
    '@where on an argument': {
      schema: mutation('do(a: Int ^@where(field: "ok")): Done @command(topic: "c", type: "do", feedback: "f")'),
      says: ["do(a:): a command's arguments filter nothing: remove @where"],
    },
    'a commandId that is no ID, or has a default': {
      schema: mutation(
        'a(commandId: ^String!): Done @command(topic: "c", type: "a", feedback: "f") b(commandId: ID = ^"x"): Done @command(topic: "c", type: "b", feedback: "f") c(commandId: ID!): Done @command(topic: "c", type: "c", feedback: "f")',
      ),
      says: [
        'a: commandId is the id that makes a command idempotent, so its type must be ID, not String!',
        'b: with a default, all commands of a user would be one and the same: remove it',
      ],
    },
    'a time-out that is none, an empty type': {
      schema: mutation(
        'a: Done @command(topic: "c", type: "a", feedback: "f", timeoutMs: ^0) b: Done @command(topic: "c", type: ^"", feedback: "f", timeoutMs: ^-1)',
      ),
      says: [
        'a: timeoutMs must be greater than 0',
        'b: a command needs a type, by which its handler knows it',
        'b: timeoutMs must be greater than 0',
      ],
    },
    'feedback that is no object': {
      schema: mutation('a: ^Boolean! @command(topic: "c", type: "a", feedback: "f")'),
      says: ['a: feedback becomes one object, so that its type must be an object type, not Boolean!'],
    },
    'feedback in a topic of commands': {
      schema: mutation(
        'a: Done @command(topic: "c", type: "a", feedback: ^"c") b: Done @command(topic: "d", type: "b", feedback: "e") d: Done @command(topic: ^"e", type: "d", feedback: "f")',
      ),
      says: [
        'topic "c" can\'t carry both commands and feedback: name another one',
        'topic "e" can\'t carry both commands and feedback: name another one',
      ],
    },
    'one command with two feedbacks, or with other arguments': {
      schema: `${query}type Done { ok: Boolean! }
type Mutation { a(x: Int!): Done @command(topic: "c", type: "a", feedback: "f") b(x: Int = 1): Done @command(topic: "c", type: "b", feedback: "f") }
type Subscription { a(x: Int!): Done @command(topic: "c", type: "a", feedback: ^"g") ^b(x: Int = 2): Done @command(topic: "c", type: "b", feedback: "f") }`,
      says: [
        'Subscription.a sends the same command as Mutation.a but awaits its feedback in "g", not in "f"',
        'Subscription.b sends the same command as Mutation.b but has other arguments: make them equal, or give it another type',
      ],
    },
  },
  tables: {
    'defined twice': {
      schema: `${query}type A @table(name: "a", topics: ["t"], id: ["id"]) { id: ID! }\ntype B @table(name: ^"a", topics: ["t"], id: ["id"]) { id: ID! }`,
      says: ['table "a" is defined twice: give one of them another name'],
    },
    'an impossible name': {
      schema: `${query}type A @table(name: ^"a b", topics: ["t"], id: ["id"]) { id: ID! }`,
      says: ["\"a b\" is no table name: a letter or _, then up to 39 letters, digits, '_' or '-'"],
    },
    'no topics, a topic twice, a bad topic': {
      schema: `${query}type A @table(name: "a", topics: ^[], id: ["id"]) @table(name: "b", topics: ["t", ^"t", ^"?"], id: ["id"]) { id: ID! }`,
      says: [
        'table "a" needs a topic',
        'topic "t" is named twice',
        "topic \"?\" is no name that Kafka takes: use letters, digits, '.', '_' and '-'",
      ],
    },
    'an id that is missing, nullable, no scalar, named twice': {
      schema: `${query}scalar JSON
type A @table(name: "a", topics: ["t"], id: ^[]) @table(name: "b", topics: ["t"], id: [^"x", ^"n", ^"l", ^"j", ^"o", "id", ^"id"]) {
  id: ID! n: Int l: [Int!]! j: JSON! o: O!
}
type O { a: Int }`,
      says: [
        'table "a" needs an id: fields that tell its rows apart',
        'A has no field "x" to be an id (it has id, n, l, j, o)',
        'id field A.n must be non-null: add ! to its type',
        'id field A.l must be a scalar or an enum',
        'id field A.j must be a scalar or an enum',
        'id field A.o must be a scalar or an enum',
        'id field "id" is named twice',
      ],
    },
    'an owner that no record has': {
      schema: `${query}type A @table(name: "a", topics: ["t"], id: ["id"], owner: ^"") @table(name: "b", topics: ["t"], id: ["id"], owner: ^"_offset") { id: ID! }`,
      says: [
        'a row\'s owner is "_key" or a field of the record, not ""',
        'a row\'s owner is "_key" or a field of the record, not "_offset"',
      ],
    },
  },
  views: {
    'of an unknown table': {
      schema: view('a: Row @view(table: ^"row")'),
      says: ['a: no type has @table(name: "row") (tables: "rows")'],
    },
    "of another type than the table's": {
      schema: view('a: ^Other @view(table: "rows")').concat('\ntype Other { id: ID! }'),
      says: ['a: table "rows" holds Row, not Other'],
    },
    'of a row that must not be missing': {
      schema: view('a: ^Row! @view(table: "rows")'),
      says: ['a: there may be no such row, so the type must be nullable: remove the !'],
    },
    'that is no row, list or connection': {
      schema: view('a: ^Int @view(table: "rows") b: ^[[Row]] @view(table: "rows")'),
      says: [
        'a: a view gives a row (an object type), a list of rows, or a connection, not Int',
        'b: a view gives a row (an object type), a list of rows, or a connection, not [[Row]]',
      ],
    },
    'with an argument that filters nothing; paging belongs to connections': {
      schema: view('a(^other: Int, ^first: Int): [Row!]! @view(table: "rows")'),
      says: [
        'Row has no field "other" (it has id, size, on, tags); say with @where what the argument filters',
        'Row has no field "first" (it has id, size, on, tags); say with @where what the argument filters',
      ],
    },
  },
  connections: {
    'without its parts': {
      schema: view('a(first: Int, after: String): RowConnection @view(table: "rows")').concat(
        '\ntype ^^RowConnection { ^total: Int }',
      ),
      says: [
        'RowConnection needs edges: a list of objects with cursor and node',
        'RowConnection needs pageInfo: PageInfo!',
        'RowConnection.total: nothing fills it, only edges, pageInfo',
      ],
    },
    'with parts of other types': {
      schema: view('a(first: Int, after: String): RowConnection @view(table: "rows")').concat(
        '\ntype RowConnection { edges: ^[Int] pageInfo: ^Int }',
      ),
      says: [
        'RowConnection.edges must be a list of objects with cursor and node',
        'RowConnection.pageInfo must be an object type, PageInfo',
      ],
    },
    'with edges and pages that lack something': {
      schema: view('a(first: Int, after: String, last: Int, before: ID): Rows @view(table: "rows")').concat(
        '\ntype Rows { edges: [Edge] pageInfo: Page }\ntype ^^Edge { ^at: Int }\ntype ^^Page { hasNextPage: ^Int endCursor: ^String! }',
      ),
      says: [
        'Edge needs cursor: String!',
        "Edge needs node: the type of the table's rows",
        'Edge.at: nothing fills it, only cursor, node',
        'Page needs hasPreviousPage: Boolean!, since a has last',
        'Page needs startCursor: String, since a has last',
        'Page.hasNextPage must be Boolean!',
        'Page.endCursor must be String',
      ],
    },
    'without arguments to page by, with half of a pair, of other types': {
      schema: view(
        '^a: Rows @view(table: "rows") b(^first: Int): Rows @view(table: "rows") c(^before: String, first: ^String, after: ^Int): Rows @view(table: "rows") d(first: Int @where(field: "size"), after: String): Rows @view(table: "rows")',
      )
        .replace('@where(field: "size")', '^@where(field: "size")')
        .concat(
          '\ntype Rows { edges: [Edge] pageInfo: Page }\ntype Edge { cursor: String! node: Row }\ntype Page { hasNextPage: Boolean! endCursor: String }',
        ),
      says: [
        'a: a connection is read in pages; add first: Int and after: String',
        'b: first needs after beside it',
        'c: before needs last beside it',
        'c: first must be Int, not String',
        'c: after must be String or ID, not Int',
        "first pages through a connection and can't filter: remove @where",
      ],
    },
  },
};

for (const [subject, cases] of Object.entries(tables)) {
  for (const [name, { schema, says }] of Object.entries(cases)) {
    test(`a schema is refused, with every problem's place: ${subject}: ${name}`, () => assertRefused(schema, says));
  }
}
