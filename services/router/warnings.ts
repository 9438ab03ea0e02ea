import type { Logger } from '../../lib/ops/index.ts';

/**
 * Node prints warnings as plain text on stderr, between the log's JSON lines; http-proxy 1.18.1 causes some by using
 * `util._extend` and `url.parse`. From here on they are log lines: deprecations at debug, others at warn.
 */
export function logWarnings(log: Logger): void {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => {
    const everyday = name === 'DeprecationWarning' || name === 'ExperimentalWarning';
    if (everyday) log.debug({ event: 'node_deprecation', warning: name }, message);
    else log.warn({ event: 'node_warning', warning: name }, message);
  });
}
