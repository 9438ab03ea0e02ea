import type { KafkaConnection } from '../../lib/kafka/index.ts';

/** Quotas of a client id: bytes a second, or per cent of a broker thread's time. Undefined takes one away. */
export type Quotas = Readonly<Record<string, number | undefined>>;

/** Sets quotas by AlterClientQuotas 0 (KIP-546), which kafkajs lacks. */
export async function setQuotas(connection: KafkaConnection, clientId: string, quotas: Quotas): Promise<void> {
  const cluster = connection.openCluster('quotas');
  const errorCode = await (await cluster.anyLink()).send({
    ...{ apiKey: 49, apiVersion: 0, apiName: 'AlterClientQuotas', throttleTime: 'first' as const },
    encode(writer) {
      writer.array([quotas], () => {
        writer.array(['client-id'], type => writer.string(type).string(clientId));
        writer.array(Object.entries(quotas), ([key, value]) => {
          const bytes = Buffer.alloc(9);
          bytes.writeDoubleBE(value ?? 0);
          bytes.writeInt8(value === undefined ? 1 : 0, 8);
          writer.string(key).raw(bytes);
        });
      });
      writer.int8(0); // validate only
    },
    decode(reader) {
      reader.int32(); // throttle time
      reader.int32(); // one entry
      return reader.int16();
    },
  });
  cluster.close();
  if (errorCode !== 0) throw new Error(`AlterClientQuotas: error ${errorCode}`);
}
