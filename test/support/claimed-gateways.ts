import { randomBytes } from 'node:crypto';
import { connectKafka } from '../../lib/kafka/index.ts';
import { type OwnerTable, openOwnerTable } from '../../lib/ownership/index.ts';
import { openPeerPort } from '../../lib/ownership/peer-port.ts';
import { openOwnerRegistry, ownerKey } from '../../lib/ownership/registry.ts';
import { closeRedis, openRedis } from '../../lib/redis/index.ts';
import { quietOps } from './quiet-ops.ts';
import { kafkaAddress, kafkaConfig } from './scratch-kafka.ts';
import { openTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** A gateway as routers know it: an address, and a peer port that runs, both at the end of a link that can fall silent. */
export interface ClaimedGateway {
  name: string;
  /** As it stands in its claims: over the link. */
  address: string;
  peer: string;
  claim(...partitions: number[]): Promise<void>;
  /** The link says nothing any more, and refuses nothing. */
  fallSilent(): void;
  speak(): void;
  /** Attempts to reach its peer port since it fell silent. */
  unanswered(): number;
}

/** Gateways that own what they have claimed in Redis, and a router's table of them. */
export interface ClaimedGateways {
  table: OwnerTable;
  /** @param target where it serves, a base URL. */
  gateway(name: string, target: string): Promise<ClaimedGateway>;
  close(): Promise<void>;
}

/** Short, for tests; a real one is seconds. */
const peerSilenceMs = 400;

/** @param successionMs how long a silent owner's successor is waited for. */
export async function openClaimedGateways(partitionCount: number, successionMs: number): Promise<ClaimedGateways> {
  const url = process.env.TEST_REDIS;
  if (url === undefined) throw new Error('TEST_REDIS (url) is not set');
  const ops = quietOps();
  const group = `test-${randomBytes(6).toString('hex')}`;
  const redis = openRedis({ url, tlsCaFile: undefined }, ops);
  const connection = connectKafka(kafkaConfig([kafkaAddress()]), ops);
  const registry = openOwnerRegistry(redis, group, () => partitionCount, ops.log);
  const parts = { redis, connection, group, partitionCount, peerSilenceMs, successionMs, ops };
  const table = await openOwnerTable(parts);
  const closing: (() => Promise<void>)[] = [];
  let generation = 0;

  const link = async (target: URL): Promise<TcpProxy> => {
    const proxy = await openTcpProxy({ host: target.hostname, port: Number(target.port) });
    await proxy.mend();
    closing.push(proxy.close);
    return proxy;
  };
  return {
    table,
    async gateway(name, target) {
      const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: peerSilenceMs / 4 });
      port.say(name);
      closing.push(port.close);
      const [toServer, toPeer] = [await link(new URL(target)), await link(new URL(`http://${port.address}`))];
      const [address, peer] = [`http://127.0.0.1:${toServer.port}`, `127.0.0.1:${toPeer.port}`];
      return {
        name,
        address,
        peer,
        async claim(...partitions) {
          generation += 1;
          const claim = { generation, memberId: name, address, peer, knownEpoch: 0, mode: 'gain' } as const;
          for (const partition of partitions) await registry.claim({ ...claim, partition });
        },
        fallSilent() {
          for (const proxy of [toServer, toPeer]) proxy.silence();
        },
        speak() {
          for (const proxy of [toServer, toPeer]) proxy.unsilence();
        },
        unanswered: toPeer.unanswered,
      };
    },
    async close() {
      await table.close();
      for (const close of closing.reverse()) await close();
      await redis.del(...Array.from({ length: partitionCount }, (_, partition) => ownerKey(group, partition)));
      closeRedis(redis);
      await connection.close();
    },
  };
}
