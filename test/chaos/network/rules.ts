import type { TcpSocket } from './sockets.ts';

/** One end of a link: a process, and the cgroup in which its new sockets are born. */
export interface End {
  /** As nft names it: relative to /sys/fs/cgroup. */
  cgroup: string;
  /** Its depth in the hierarchy of cgroup2. */
  level: number;
  sockets: readonly TcpSocket[];
}

/**
 * nft commands that drop, on the loopback interface, what goes from one process to another and nothing else; not what
 * comes back. Connections that are open are known by their ports, later ones by the cgroup of whoever opens them, so that
 * even a SYN gets no answer. @param table `inet <name>`, which has the chains `sent` (output) and `got` (input).
 */
export function dropping(table: string, from: End, to: End): string[] {
  const [fromPorts, toPorts] = [from, to].map(listeningPorts) as [number[], number[]];
  const drop = 'counter drop';
  const rules: string[] = [];
  for (const { localPort, remotePort } of open(from)) {
    if (toPorts.includes(remotePort)) {
      rules.push(`add rule ${table} sent oif "lo" tcp sport ${localPort} tcp dport ${remotePort} ${drop}`);
    }
  }
  for (const { localPort, remotePort } of open(to)) {
    if (fromPorts.includes(remotePort)) {
      rules.push(`add rule ${table} sent oif "lo" tcp sport ${remotePort} tcp dport ${localPort} ${drop}`);
    }
  }
  if (toPorts.length > 0) {
    rules.push(`add rule ${table} sent oif "lo" tcp dport { ${toPorts.join()} } ${born(from)} ${drop}`);
  }
  if (fromPorts.length > 0) {
    rules.push(`add rule ${table} got iif "lo" tcp sport { ${fromPorts.join()} } ${born(to)} ${drop}`);
  }
  return rules;
}

function listeningPorts({ sockets }: End): number[] {
  return [...new Set(sockets.filter(({ listening }) => listening).map(({ localPort }) => localPort))];
}

function open({ sockets }: End): TcpSocket[] {
  return sockets.filter(({ listening }) => !listening);
}

function born({ cgroup, level }: End): string {
  return `socket cgroupv2 level ${level} "${cgroup}"`;
}
