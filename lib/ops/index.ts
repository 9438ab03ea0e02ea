export { type AdminPort, type Readiness, serveAdmin } from './admin.ts';
export { catalogue, type PenstockConfig } from './catalogue.ts';
export { ConfigError, readConfig } from './config.ts';
export { type Closable, drain, runUntilSignal } from './life-cycle.ts';
export { type Logger, openLog } from './log.ts';
export { type Ops, openOps, start } from './ops.ts';
export { traceparentOf } from './trace.ts';
