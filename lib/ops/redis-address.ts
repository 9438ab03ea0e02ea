/** Where Redis is, as the one variable says it that names it. */
export interface RedisAddress {
  /** `single`: one server. `sentinel`: whoever the sentinels call the master. `cluster`: the nodes that are asked first. */
  kind: 'single' | 'sentinel' | 'cluster';
  hosts: readonly { host: string; port: number }[];
  /** The master's name among the sentinels; empty for the other kinds. */
  masterName: string;
  tls: boolean;
  username: string | undefined;
  password: string | undefined;
  /** Where the sentinels themselves want to know who asks. */
  sentinelUsername: string | undefined;
  sentinelPassword: string | undefined;
  database: number;
}

const form = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:(.*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/s;
const defaultPorts = { single: 6379, sentinel: 26379, cluster: 6379 } as const;
const queryNames = ['sentinelUsername', 'sentinelPassword'];

/**
 * ```
 * redis://[user:password@]host[:port][/database]
 * redis+sentinel://[user:password@]host[:port],…/master-name[/database][?sentinelUsername=…&sentinelPassword=…]
 * redis+cluster://[user:password@]host[:port],…
 * ```
 * with `rediss` for TLS. User, password and master name percent-encoded.
 * @throws Error saying what is wrong, without quoting what may be a password.
 */
export function parseRedisAddress(text: string): RedisAddress {
  const parts = form.exec(text);
  if (parts === null) {
    throw new Error('must be redis://host:port, redis+sentinel://host:port,…/name or redis+cluster://host:port,…');
  }
  const [, scheme, topology, credentials = '', hostList = '', path = '', query = ''] = parts;
  const kind = topology === 'sentinel' || topology === 'cluster' ? topology : 'single';
  const hosts = hostList.split(',').map(item => hostOf(item.trim(), defaultPorts[kind]));
  if (kind === 'single' && hosts.length > 1) {
    throw new Error('has several hosts: redis+sentinel:// or redis+cluster:// says what they are to each other');
  }
  const segments = path === '' ? [] : path.split('/').map(decode);
  const masterName = kind === 'sentinel' ? (segments.shift() ?? '') : '';
  if (kind === 'sentinel' && masterName === '')
    throw new Error("needs the master's name: redis+sentinel://host:port/name");
  const database = databaseOf(segments);
  if (kind === 'cluster' && database !== 0) throw new Error('a Redis cluster has only database 0');
  const [username, password] = credentialsOf(credentials);
  return {
    kind,
    hosts,
    masterName,
    tls: scheme === 'rediss',
    username,
    password,
    ...sentinelsOf(query, kind),
    database,
  };
}

function hostOf(text: string, defaultPort: number): { host: string; port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = found?.[3] === undefined ? defaultPort : Number(found[3]);
  if (host === undefined || port < 1 || port > 65_535)
    throw new Error('each host must be host:port, IPv6 as [host]:port');
  return { host, port };
}

function databaseOf(segments: readonly string[]): number {
  const [text = '', ...rest] = segments;
  if (rest.length > 0) throw new Error('has a path with too many parts');
  if (!/^\d*$/.test(text)) throw new Error('the database must be a number');
  return Number(text);
}

function credentialsOf(text: string): [username: string | undefined, password: string | undefined] {
  const colon = text.indexOf(':');
  if (text === '') return [undefined, undefined];
  if (colon < 0) throw new Error('needs user:password before @; without a user, :password');
  const [username, password] = [decode(text.slice(0, colon)), decode(text.slice(colon + 1))];
  return [username === '' ? undefined : username, password];
}

function sentinelsOf(
  query: string,
  kind: RedisAddress['kind'],
): Pick<RedisAddress, 'sentinelUsername' | 'sentinelPassword'> {
  const values = new URLSearchParams(query);
  for (const name of values.keys()) {
    if (kind !== 'sentinel' || !queryNames.includes(name)) {
      throw new Error('has a parameter that is not known; there are only sentinelUsername and sentinelPassword');
    }
  }
  return {
    sentinelUsername: values.get('sentinelUsername') ?? undefined,
    sentinelPassword: values.get('sentinelPassword') ?? undefined,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('is not percent-encoded as it should be');
  }
}
