import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';

const rotateAboveBytes = 10 * 1024 * 1024;

/** Opens a log to append to; one that has grown large is put aside first (`<name>.log.1`, the one before is gone). */
export function openLogFile(path: string): { fd: number; close(): void; size(): number } {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > rotateAboveBytes) renameSync(path, `${path}.1`);
  const fd = openSync(path, 'a', 0o644);
  return { fd, close: () => closeSync(fd), size: () => fstatSync(fd).size };
}

/** The last line that says something, from a position on; of one of our JSON lines its message and its reasons. */
export function lastLine(path: string, fromByte = 0): string {
  if (!existsSync(path)) return '(its log is gone)';
  const lines = readFileSync(path).subarray(fromByte).toString('utf8').split('\n');
  const last = lines.findLast(line => line.trim() !== '')?.trim() ?? '(it logged nothing)';
  try {
    const { message, problems, error } = JSON.parse(last);
    const reasons = Array.isArray(problems) ? `: ${problems.join('; ')}` : '';
    return `${message ?? error?.message ?? last}${reasons}`;
  } catch {
    return last;
  }
}
