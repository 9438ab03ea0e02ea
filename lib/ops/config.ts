import { existsSync } from 'node:fs';
import { z } from 'zod';
import { parseRedisAddress } from './redis-address.ts';
import { SecretFile } from './secret-files.ts';

/** One environment variable: how it is read, what it means, whether it may appear in a log. */
export interface Variable<T = unknown> {
  schema: z.ZodType<T>;
  doc: string;
  /** Shown in the reference instead of the parsed default. */
  example?: string;
  secret?: boolean;
  /** A PEM file with certificates: `/metrics` tells when the first of them ends. */
  certificates?: boolean;
  /** Only for names that predate the PENSTOCK_<SECTION>_<NAME> form. */
  name?: string;
}

export type Section = Readonly<Record<string, Variable>>;
export type Catalogue = Readonly<Record<string, Section>>;
type Values<S extends Section> = { -readonly [K in keyof S]: S[K] extends Variable<infer T> ? T : never };
export type ConfigOf<C extends Catalogue, K extends keyof C> = { [S in K]: Values<C[S]> };

/** Bad or unknown variables, all of them at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`configuration refused:\n${problems.map(problem => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `kafka`, `sessionTimeoutMs` → `PENSTOCK_KAFKA_SESSION_TIMEOUT_MS`. */
export function variableName(section: string, key: string, variable: Variable): string {
  return variable.name ?? `PENSTOCK_${snake(section)}_${snake(key)}`;
}

function snake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

/** The variable that names a file which holds the secret, in place of the secret itself. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

const filesByConfig = new WeakMap<object, readonly SecretFile[]>();

/** A file with certificates, and the variable that names it. */
export interface CertificateFile {
  variable: string;
  path: string;
}

const certificatesByConfig = new WeakMap<object, readonly CertificateFile[]>();

/** Returns the files with certificates that this configuration names. */
export function certificateFilesOf(config: object): readonly CertificateFile[] {
  return certificatesByConfig.get(config) ?? [];
}

/** Returns the files that secrets of this configuration come from. */
export function secretFilesOf(config: object): readonly SecretFile[] {
  return filesByConfig.get(config) ?? [];
}

/**
 * Reads the named sections from the environment. A variable of the catalogue that this service does not use is
 * allowed (one environment may serve all services), a `PENSTOCK_*` name outside the catalogue is not.
 *
 * A secret may be in a file that `<NAME>_FILE` names. Its value then is a getter, which gives what the file held when it was
 * last read: whoever needs it for each new connection asks for it each time.
 * @throws ConfigError naming every bad and every unknown variable.
 */
export function readConfig<C extends Catalogue, K extends keyof C & string>(
  catalogue: C,
  sections: readonly K[],
  env: Readonly<Record<string, string | undefined>>,
): ConfigOf<C, K> {
  const problems: string[] = [];
  const known = new Set(
    variablesOf(catalogue).flatMap(({ name, variable }) => (variable.secret ? [name, fileVariable(name)] : [name])),
  );
  for (const name of Object.keys(env).sort()) {
    if (name.startsWith('PENSTOCK_') && !known.has(name)) problems.push(`${name}: unknown; see docs/configuration.md`);
  }
  const config: Record<string, Record<string, unknown>> = {};
  const files: SecretFile[] = [];
  const certificates: CertificateFile[] = [];
  for (const section of sections) {
    const values: Record<string, unknown> = {};
    for (const [key, variable] of Object.entries(catalogue[section] as Section)) {
      const name = variableName(section, key, variable);
      const raw = env[name];
      const path = variable.secret ? env[fileVariable(name)] : undefined;
      if (path !== undefined && path !== '') {
        const file = openSecretFile(variable, fileVariable(name), path);
        const outcome = file.read();
        if (raw !== undefined && raw !== '')
          problems.push(`${fileVariable(name)}: ${name} is set as well; set one of them`);
        if (typeof outcome === 'object') problems.push(`${fileVariable(name)}: ${outcome.problem} (${variable.doc})`);
        files.push(file);
        Object.defineProperty(values, key, { enumerable: true, get: () => file.value });
        continue;
      }
      const parsed = variable.schema.safeParse(raw === '' ? undefined : raw);
      if (parsed.success) {
        values[key] = parsed.data;
        if (variable.certificates && typeof parsed.data === 'string')
          certificates.push({ variable: name, path: parsed.data });
      } else
        problems.push(
          `${name}: ${raw === undefined || raw === '' ? 'required' : parsed.error.issues[0]?.message} (${variable.doc})`,
        );
    }
    config[section] = values;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  filesByConfig.set(config, files);
  certificatesByConfig.set(config, certificates);
  return config as ConfigOf<C, K>;
}

function openSecretFile(variable: Variable, name: string, path: string): SecretFile {
  return new SecretFile(name, path, text => {
    const parsed = variable.schema.safeParse(text);
    return parsed.success ? { value: parsed.data } : { problem: parsed.error.issues[0]?.message ?? 'does not fit' };
  });
}

export function variablesOf(catalogue: Catalogue): { section: string; name: string; variable: Variable }[] {
  return Object.entries(catalogue).flatMap(([section, variables]) =>
    Object.entries(variables).map(([key, variable]) => ({
      section,
      name: variableName(section, key, variable),
      variable,
    })),
  );
}

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** Schemas for the kinds of values that environment variables hold. */
export const env = {
  text: () => z.string().min(1),
  /** A file. Where a `-` stands before its path, it may be absent, as in the files of systemd. */
  file: () =>
    z
      .string()
      .min(1)
      .transform(path => {
        if (!path.startsWith('-')) return path;
        return existsSync(path.slice(1)) ? path.slice(1) : undefined;
      })
      .optional(),
  list: () =>
    z
      .string()
      .min(1)
      .transform(text =>
        text
          .split(',')
          .map(item => item.trim())
          .filter(item => item !== ''),
      ),
  /** Origins of pages, as browsers write them: no path, and not the scheme's usual port. */
  origins: () =>
    env
      .list()
      .refine(origins => origins.every(isOrigin), 'must be origins such as https://app.example, without a path'),
  integer: (min: number, max: number) =>
    z
      .string()
      .regex(/^-?\d+$/, 'must be a whole number')
      .transform(Number)
      .refine(value => value >= min && value <= max, `must be from ${min} to ${max}`),
  /** A fraction such as a ratio. */
  decimal: (min: number, max: number) =>
    z
      .string()
      .regex(/^\d+(\.\d+)?(e-?\d+)?$/, 'must be a number such as 0.25')
      .transform(Number)
      .refine(value => value >= min && value <= max, `must be from ${min} to ${max}`),
  /** `name=value`, comma-separated; values may be percent-encoded, as in the variables of OpenTelemetry. */
  pairs: (name: RegExp) =>
    z.string().transform((text, context): Readonly<Record<string, string>> => {
      const pairs: Record<string, string> = Object.create(null);
      for (const item of text.split(',').map(each => each.trim())) {
        if (item === '') continue;
        const equals = item.indexOf('=');
        const [key, value] = [item.slice(0, Math.max(equals, 0)).trim(), decoded(item.slice(equals + 1).trim())];
        if (name.test(key) && value !== undefined) pairs[key] = value;
        else context.addIssue('must be name=value, comma-separated');
      }
      return pairs;
    }),
  flag: () => z.enum(['true', 'false'], 'must be true or false').transform(value => value === 'true'),
  url: () => z.string().refine(text => URL.canParse(text), 'must be a URL'),
  redis: () =>
    z.string().check(context => {
      try {
        parseRedisAddress(context.value);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        context.issues.push({ code: 'custom', message, input: '' });
      }
    }),
  json: <T>(schema: z.ZodType<T>) =>
    z.string().transform((text, context): T => {
      try {
        const parsed = schema.safeParse(JSON.parse(text));
        if (parsed.success) return parsed.data;
        context.addIssue(parsed.error.issues[0]?.message ?? 'does not fit');
      } catch {
        context.addIssue('must be JSON');
      }
      return z.NEVER;
    }),
};

/** Undefined where a text is not well percent-encoded, or is nothing that a header can hold. */
function decoded(text: string): string | undefined {
  try {
    const value = decodeURIComponent(text);
    return /^[\x20-\x7e]*$/.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
