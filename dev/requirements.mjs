// Plain JavaScript: bootstrap.mjs needs it before the pinned Node, which can run TypeScript, is there.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** @returns {string | undefined} what is wrong with this Node, in one line */
export function nodeProblem() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return undefined;
  return `Node 20.19 or newer is needed; this is ${process.versions.node}`;
}

/** The `java` of JAVA_HOME, else the one on the PATH. @returns {string} */
export function javaCommand() {
  return process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java';
}

/** @returns {string | undefined} what is wrong with the machine's Java, in one line */
export function javaProblem() {
  const needed = 'a JDK 17 or newer is needed for Kafka';
  const { error, stderr } = spawnSync(javaCommand(), ['-version'], { encoding: 'utf8' });
  if (error) return `${needed}: no java on the PATH and no JAVA_HOME (Debian: apt-get install openjdk-17-jdk-headless)`;
  const found = /version "(?:1\.)?(\d+)/.exec(stderr)?.[1];
  return Number(found) >= 17 ? undefined : `${needed}; ${javaCommand()} is version ${found ?? 'unknown'}`;
}

/** @returns {string | undefined} what is wrong with the machine's Maven, in one line */
export function mavenProblem() {
  const { error, status } = spawnSync('mvn', ['--version'], { stdio: 'ignore' });
  if (!error && status === 0) return undefined;
  return 'Maven is needed to fetch Kafka and Redis: no working mvn on the PATH (Debian: apt-get install maven)';
}
