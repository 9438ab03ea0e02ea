import { readFileSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import type { Closable } from './life-cycle.ts';
import type { Logger } from './log.ts';

/** A secret that comes from a file: how Kubernetes mounts it, and rotates it. */
export class SecretFile<T = unknown> {
  /** The variable that names the file. */
  readonly variable: string;
  readonly #path: string;
  readonly #parse: (text: string) => { value: T } | { problem: string };
  #text: string | undefined;
  #value: T | undefined;

  constructor(variable: string, path: string, parse: (text: string) => { value: T } | { problem: string }) {
    this.variable = variable;
    this.#path = path;
    this.#parse = parse;
  }

  /** The newest value that could be read and parsed; undefined before the first. */
  get value(): T | undefined {
    return this.#value;
  }

  /**
   * Reads the file. One trailing line break is not part of a secret: editors and `echo` add it. A file that can't be read, or whose
   * content is refused, leaves the value as it was.
   */
  read(): 'unchanged' | 'changed' | { problem: string } {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      return { problem: `can't be read: ${messageOf(error)}` };
    }
    if (text === this.#text) return 'unchanged';
    const parsed = text === '' ? { problem: `${this.#path} is empty` } : this.#parse(text);
    if ('problem' in parsed) return parsed;
    this.#text = text;
    this.#value = parsed.value;
    return 'changed';
  }
}

/** How often the files of secrets are read again, ms. Kubernetes itself takes up to a minute to bring a change. */
const pollMs = 5_000;

/** Reads the files again and again, and logs what has changed; a file that can't be used is logged once, until it can. */
export function watchSecretFiles(files: readonly SecretFile[], log: Logger): Closable {
  const failing = new Set<SecretFile>();
  const timer = setInterval(() => {
    for (const file of files) {
      const outcome = file.read();
      const { variable } = file;
      if (typeof outcome === 'object') {
        if (!failing.has(file)) {
          log.warn(
            { event: 'secret_unreadable', variable, reason: outcome.problem },
            'a secret is kept as it was: its file cannot be used',
          );
        }
        failing.add(file);
        continue;
      }
      failing.delete(file);
      if (outcome === 'changed') log.info({ event: 'secret_reloaded', variable }, 'a secret has been read anew');
    }
  }, pollMs);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
    },
  };
}
