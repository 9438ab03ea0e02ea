import { autoscaling, commandHandler, projector, services } from './back.ts';
import { gateway, router } from './front.ts';
import { objectives, watching } from './service-levels.ts';
import type { Alert, Group } from './types.ts';

export const groups: readonly Group[] = [
  ...watching(objectives),
  gateway,
  router,
  services,
  commandHandler,
  projector,
  autoscaling,
];

export const alerts: readonly Alert[] = groups.flatMap(group => group.alerts ?? []);
