import { clientFaults } from './clients.ts';
import { clockFaults } from './clock.ts';
import { diskFaults } from './disk.ts';
import { gatewayFaults } from './gateways.ts';
import { lostLogFaults } from './lost-log.ts';
import { networkFaults } from './network.ts';
import { recordFaults } from './records.ts';
import { redisFaults } from './redis.ts';
import { serverFaults } from './servers.ts';
import { serviceFaults } from './services.ts';
import { transactionFaults } from './transactions.ts';
import type { Fault } from './types.ts';
import { uncleanElectionFaults } from './unclean-election.ts';

/** Every fault that the run knows. */
export const faults: readonly Fault[] = [
  ...gatewayFaults,
  ...serviceFaults,
  ...serverFaults,
  ...networkFaults,
  ...redisFaults,
  ...clockFaults,
  ...diskFaults,
  ...lostLogFaults,
  ...uncleanElectionFaults,
  ...clientFaults,
  ...recordFaults,
  ...transactionFaults,
];
