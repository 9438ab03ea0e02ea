// Plain JavaScript: bootstrap.mjs needs it before the pinned Node, which can run TypeScript, is there.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';

/**
 * When the process started, in whatever unit the system has; `undefined` when it is not alive. A pid together with
 * this names one process for ever: pids are given again.
 * @param {number} pid
 * @returns {string | undefined}
 */
export function startTimeOf(pid) {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // proc(5): state is field 3, starttime 22
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock file at `path`, or says who holds it. A lock whose holder is no longer alive is taken over.
 * @param {string} path
 * @returns {{ release: () => void } | { holder: number }}
 */
export function tryLock(path) {
  const mine = JSON.stringify({ pid: process.pid, started: startTimeOf(process.pid) });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(draft, mine);
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        linkSync(draft, path); // atomic, with its content
        return { release: () => release(path, mine) };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const holder = livingHolder(path);
      if (holder !== undefined) return { holder };
      removeStale(path);
    }
    throw new Error(`could not take over the stale lock ${path}`);
  } finally {
    unlinkSync(draft);
  }
}

/** @param {string} path @param {string} mine */
function release(path, mine) {
  try {
    if (readFileSync(path, 'utf8') === mine) unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** @param {string} path @returns {number | undefined} */
function livingHolder(path) {
  try {
    const { pid, started } = JSON.parse(readFileSync(path, 'utf8'));
    return typeof pid === 'number' && started !== undefined && startTimeOf(pid) === started ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Two processes may find the same stale lock: only one at a time looks again and removes it. @param {string} path */
function removeStale(path) {
  const gate = `${path}.takeover`;
  try {
    mkdirSync(gate);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    if (Date.now() - (statSync(gate, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 10_000) rmdirSync(gate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    return;
  }
  try {
    if (livingHolder(path) === undefined) unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  } finally {
    rmdirSync(gate);
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
