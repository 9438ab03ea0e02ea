import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** Where a request comes from, as far as that can be believed. */
export interface ClientOrigin {
  /** IP address. */
  address: string;
  /** Over https, as a trusted proxy says. */
  secure: boolean;
}

export type OriginReader = (headers: IncomingHttpHeaders, peerAddress: string | undefined) => ClientOrigin;

/**
 * Reads the origin: the peer, or, where the peer is a trusted proxy, the last address of X-Forwarded-For that is not
 * one itself.
 * @param trustedProxies addresses or CIDR ranges. @throws Error for one that is neither.
 */
export function originReader(trustedProxies: readonly string[]): OriginReader {
  const trusted = new BlockList();
  for (const range of trustedProxies) {
    const [address = '', prefix, ...rest] = range.split('/');
    const version = isIP(address);
    const bits = prefix === undefined ? undefined : Number(prefix);
    const longest = version === 6 ? 128 : 32;
    const sound = bits === undefined || (Number.isInteger(bits) && bits >= 0 && bits <= longest && prefix !== '');
    if (version === 0 || !sound || rest.length > 0) {
      throw new Error(`PENSTOCK_ROUTE_TRUSTED_PROXIES: ${range} is neither an address nor a CIDR range`);
    }
    const family = version === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, bits, family);
  }
  const isTrusted = (address: string): boolean => trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');

  return (headers, peerAddress) => {
    const peer = plain(peerAddress ?? '');
    if (!isTrusted(peer)) return { address: peer, secure: false };
    const chain = forwarded(headers['x-forwarded-for']).map(plain);
    let address = peer;
    for (const hop of chain.reverse()) {
      if (isIP(hop) === 0) break;
      address = hop;
      if (!isTrusted(hop)) break;
    }
    return { address, secure: forwarded(headers['x-forwarded-proto']).at(-1)?.toLowerCase() === 'https' };
  };
}

function forwarded(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .join(',')
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
}

/** An IPv4 address that a dual-stack socket shows as IPv6 is the IPv4 one. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}
