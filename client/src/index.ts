export { createClient } from './client.ts';
export { ConnectionError, OperationError, UnauthorizedError } from './errors.ts';
export type {
  Client,
  ClientOptions,
  ClientStorage,
  CommandOptions,
  Counters,
  Document,
  Event,
  Gap,
  GapAnswer,
  GraphqlError,
  LiveItem,
  LiveOptions,
  QueryOptions,
  Result,
  Snapshot,
  State,
  Status,
  SubscribeOptions,
  Subscription,
} from './types.ts';
