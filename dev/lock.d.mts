/** When the process started; `undefined` when it is not alive. A pid and this name one process for ever. */
export function startTimeOf(pid: number): string | undefined;
/** Takes the lock file, or says which pid holds it. A lock whose holder is no longer alive is taken over. */
export function tryLock(path: string): { release: () => void } | { holder: number };
