import type { ClientStorage } from '@penstock/client';

/** What the user asks for. */
export type Wish =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'transfer';
      readonly recipient: string;
      readonly amountCents: number;
      readonly description: string;
    }
  | { readonly kind: 'pay-in'; readonly amountCents: number };

/** A wish under the id of its command: sent again, it has no second effect and gets the same verdict. */
export interface Order {
  /** A UUID. */
  readonly id: string;
  readonly wish: Wish;
}

/** The order of a user that has no verdict yet. It outlives the page: whoever reloads it in the middle of a transfer does not pay twice. */
export interface OpenOrder {
  read(): Order | undefined;
  write(order: Order): void;
  clear(): void;
}

export function openOrderOf(username: string, storage: Pick<Storage, keyof ClientStorage>): OpenOrder {
  const key = `penstock.bank.order.${username}`;
  return {
    read() {
      try {
        const found: unknown = JSON.parse(storage.getItem(key) ?? 'null');
        return isOrder(found) ? found : undefined;
      } catch {
        return undefined;
      }
    },
    write: order => storage.setItem(key, JSON.stringify(order)),
    clear: () => storage.removeItem(key),
  };
}

/** Returns a UUID of version 4. Not by `crypto.randomUUID`, which a page over plain http from another host does not have. */
export function newId(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): string {
  const hex = Array.from(random(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) % 4);
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20),
  ];
  return groups.join('-');
}

/** Storage may hold what another version of the page has left. */
function isOrder(value: unknown): value is Order {
  return isObject(value) && typeof value.id === 'string' && isObject(value.wish) && isWish(value.wish);
}

function isWish({ kind, amountCents, recipient, description }: Record<string, unknown>): boolean {
  if (kind === 'open') return true;
  if (!Number.isSafeInteger(amountCents)) return false;
  return kind === 'pay-in' || (kind === 'transfer' && typeof recipient === 'string' && typeof description === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
