interface Host {
  navigator?: { onLine?: boolean };
  addEventListener?(event: string, listener: () => void): void;
  removeEventListener?(event: string, listener: () => void): void;
}

/** A browser; elsewhere there is always a network. */
const host = globalThis as Host;
const events = ['online', 'offline'];

/** Returns whether this machine has a network, as far as it can tell. */
export const isOnline = () => host.navigator?.onLine !== false;

/** Calls the listener when that may have changed, until the returned function is called. */
export function onNetwork(listener: () => void): () => void {
  for (const event of events) host.addEventListener?.(event, listener);
  return () => {
    for (const event of events) host.removeEventListener?.(event, listener);
  };
}
