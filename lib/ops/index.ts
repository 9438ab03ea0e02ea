export { catalogue, type PenstockConfig } from './catalogue.ts';
export { readConfig } from './config.ts';
export { type Closable, runUntilSignal } from './life-cycle.ts';
export { listenTogether, parseAddress } from './listen.ts';
export type { Logger } from './log.ts';
export { type Ops, openOps, start } from './ops.ts';
export { parseRedisAddress, type RedisAddress } from './redis-address.ts';
export { sharedCounter } from './shared-counter.ts';
export { traceparentOf } from './trace.ts';
