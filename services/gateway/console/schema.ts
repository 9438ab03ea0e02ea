import { type AppPlan, compileApp } from '../../../lib/app/index.ts';

/** Who may look at the console. */
export const consoleRole = 'operator';

/** Queries that the gateway answers itself, without a view. */
export const ownQueries = ['console', 'sessions'] as const;

/** Returns the text of the built-in schema at /console/graphql, over the fleet's topic. */
export const consoleSchema = (topic: string) => /* GraphQL */ `
scalar DateTime
scalar SafeInt

type Query {
  "Whether the console has anything to show, and what to do where it has not."
  console: Console!
  "The connections of a user that end at the gateway which answers. Ask the owner of the user's partition: ?partition=<number>."
  sessions(user: String!): UserSessions!
}

type Console {
  topic: String!
  "False: nothing is published, and instances ends with UNAVAILABLE."
  available: Boolean!
  "What to do where it is not available."
  advice: String
  "Partitions that the gateways share out."
  partitionCount: Int!
  "The gateway that answers."
  instance: String!
}

type UserSessions {
  partition: Int!
  "The gateway that answers: it knows of its own connections, and of no others."
  instance: String!
  "What this gateway is to the user's partition."
  tenure: String!
  connections: Int!
}

type Subscription {
  "The states that processes publish. Of a key the newest counts; begin with extensions.from: earliest."
  instances(service: String @where(field: "service")): Instance!
    @records(topic: ${JSON.stringify(topic)}, scope: ALL) @requiresRole(anyOf: ["${consoleRole}"])
}

enum Status { READY NOT_READY DRAINING GONE }
"FOREIGN: another gateway's; sessions that are still here go on, and move."
enum TenureState { FOREIGN CLAIMING OWNED HANDING_OVER }

"A process. Numbers that are not known are null, never 0."
type Instance {
  key: ID! @from(field: "_key")
  publishedAt: DateTime! @from(field: "_timestamp")
  instance: String!
  service: String!
  version: String!
  startedAt: DateTime!
  status: Status!
  reasons: [Reason!]!
  "The next state follows within about this time, ms."
  intervalMs: Int!
  memoryBytes: SafeInt
  heapBytes: SafeInt
  "Processors used."
  cpu: Float
  gateway: GatewayState
  router: RouterState
  commandHandler: CommandHandlerState
  projector: ProjectorState
}

type Reason { part: String! reason: String! }

type GatewayState {
  address: String!
  partitionCount: Int!
  "Those that it has to do with: its own, and those of which it serves sessions."
  partitions: [Partition!]!
  connections: Int
  subscriptions: [ScopeCount!]!
  deliveredPerSecond: Float
  commandsWaiting: Int
  "Of the app's topics that are read here."
  lagRecords: SafeInt
  lagSeconds: Float
  replays: [TierCount!]!
  expired: SafeInt
  "The newest 50 partitions that came to this gateway since it started, the newest first."
  handoffs: [Handoff!]!
}

type Partition {
  number: Int!
  state: TenureState!
  "0: taken over while Redis was away."
  epoch: Int
  "Connections of users whose partition it is."
  sessions: Int!
  lagRecords: SafeInt
  lagSeconds: Float
}

type ScopeCount { scope: String! count: Int! }
type TierCount { tier: String! count: SafeInt! }
type Handoff { partition: Int! epoch: Int! at: DateTime! seconds: Float! }

type RouterState {
  connections: Int
  "WebSocket upgrades that wait for their turn at a gateway."
  waiting: Int
  routedPerSecond: Float
}

type CommandHandlerState {
  partitions: Int!
  commandsPerSecond: Float
  "Since the process started."
  verdicts: [VerdictCount!]!
  outboxRecords: SafeInt
  outboxSeconds: Float
  unacknowledged: SafeInt
  lagRecords: SafeInt
  lagSeconds: Float
}

type VerdictCount { type: String! verdict: String! count: SafeInt! }

type ProjectorState {
  recordsPerSecond: Float
  lagRecords: SafeInt
  lagSeconds: Float
  topics: [TopicLag!]!
}

type TopicLag { topic: String! lagRecords: SafeInt lagSeconds: Float }
`;

/** Compiles the built-in schema. @param topic empty: there is none, and nothing will be streamed. */
export function consolePlan(topic: string): AppPlan {
  return compileApp(
    { name: "the console's schema", body: consoleSchema(topic || 'none') },
    { resolvedElsewhere: new Set(ownQueries) },
  );
}
