import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Session } from './session.ts';

const opened = z.object({
  openAccount: z.object({ success: z.literal(true), iban: z.string(), token: z.string() }),
});
const transferred = z.object({ transferMoney: z.object({ success: z.literal(true), commandId: z.string() }) });
const changed = z.object({ transactions: z.object({ descr: z.string(), iban: z.string(), changedBy: z.number() }) });

const transferMoney = `mutation($token: String!, $to: String!, $descr: String!) {
  transferMoney(token: $token, amount: 1, from: "cash", to: $to, descr: $descr) { commandId success reason }
}`;

/** Pays one cent in from cash: the command passes a gateway, Kafka and a handler, and the event comes back to the subscription. */
export async function testBank({ post, subscribe, say }: Session): Promise<void> {
  const stream = subscribe('subscription { transactions { descr iban changedBy } }');
  await stream.cursor();
  say('subscribed to transactions, and got the first cursor');
  const account = await post('mutation { openAccount { success reason iban token } }');
  const { iban, token } = checked(opened, account).openAccount;
  const descr = `helm test ${randomUUID()}`;
  const feedback = await post(transferMoney, { token, to: iban, descr });
  say(`the command has its feedback: ${checked(transferred, feedback).transferMoney.commandId}`);
  const event = await stream.event(data => changed.safeParse(data).data?.transactions.descr === descr);
  const { transactions } = checked(changed, event);
  if (transactions.iban !== iban || transactions.changedBy !== 1) {
    throw new Error(`the event is not that of the command: ${JSON.stringify(transactions)}`);
  }
  say('its event has come');
}

function checked<T>(shape: z.ZodType<T>, data: unknown): T {
  const parsed = shape.safeParse(data);
  if (!parsed.success) throw new Error(`not the answer of the bank: ${JSON.stringify(data)}`);
  return parsed.data;
}
