import { clientFaults } from './clients.ts';
import { gatewayFaults } from './gateways.ts';
import { networkFaults } from './network.ts';
import { serverFaults } from './servers.ts';
import { serviceFaults } from './services.ts';
import type { Fault } from './types.ts';

/** Every fault that the run knows. */
export const faults: readonly Fault[] = [
  ...gatewayFaults,
  ...serviceFaults,
  ...serverFaults,
  ...networkFaults,
  ...clientFaults,
];
