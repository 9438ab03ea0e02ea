/** One of the two that are compared: how to hurt it, whom it serves, and a client of the kind that belongs to it. */
export interface System {
  name: string;
  /** Who serves each partition now, by a name that no later process takes over; empty while nobody does. */
  owners(): Promise<readonly string[]>;
  /** Resolves once the stream is live. `onRecord` gets each record's id. */
  openClient(user: string, onRecord: (id: string) => void): Promise<{ close(): Promise<void> }>;
  /** The faults. Each resolves when the system itself is done; its clients may need longer. */
  faults: Readonly<Record<Fault, () => Promise<void>>>;
  close(): Promise<void>;
}

/** In the order in which they are done: one gateway more, that one less, each restarted, one killed and missing, back again. */
export const faults = ['nothing', 'join', 'leave', 'rolling restart', 'kill -9', 'return'] as const;
export type Fault = (typeof faults)[number];

export const topic = 'balance_changed';
/** Gateways of each system. */
export const gatewayCount = 3;
