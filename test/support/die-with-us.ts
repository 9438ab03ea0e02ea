import type { ChildProcess } from 'node:child_process';

/** A test that fails, or is cut short, leaves nobody behind: the child is killed when this process exits. */
export function dieWithUs<Child extends ChildProcess>(child: Child): Child {
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  return child;
}
