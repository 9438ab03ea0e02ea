import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A TCP socket of a process, as Linux shows it in /proc. */
export interface TcpSocket {
  listening: boolean;
  localPort: number;
  remotePort: number;
}

const listen = '0A';

/** The sockets that a process has open now, over IPv4 and IPv6. */
export function socketsOf(pid: number): TcpSocket[] {
  const inodes = inodesOf(pid);
  return ['tcp', 'tcp6'].flatMap(table =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map(line => line.trim().split(/\s+/))
      .filter(columns => inodes.has(columns[9] ?? ''))
      .map(([, local, remote, state]) => ({
        listening: state === listen,
        localPort: portOf(local),
        remotePort: portOf(remote),
      })),
  );
}

function inodesOf(pid: number): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // closed since
    }
  }
  return inodes;
}

/** `0100007F:1F90` → 8080 */
function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(':')[1] ?? '0', 16);
}
