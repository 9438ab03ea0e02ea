/** What the processes of an installation tell of themselves, for the operators' console. `docs/console.md` is the description. */
export { lagOver, lagsBy } from './lags.ts';
export { type FleetPublisher, openFleetPublisher } from './publisher.ts';
export type { Readings } from './readings.ts';
export { type InstanceState, publishedState, rounded, silenceMs } from './state.ts';
export { type FleetTopic, findFleetTopic } from './topic.ts';
