import { badImage } from './bad-image.ts';
import { eviction } from './eviction.ts';
import { forcedDeletions } from './forced-deletion.ts';
import { helmTest } from './helm-test.ts';
import { autoscaledDown, autoscaledUp, autoscalerOff, autoscalerOn } from './hpa.ts';
import { newImage } from './new-image.ts';
import { quiet } from './quiet.ts';
import { scaleDown, scaleUp } from './scale.ts';
import { schemaChange } from './schema-change.ts';
import { cursorKeys, databasePassword } from './secrets.ts';
import type { Step } from './types.ts';

export { upgradeFromOld } from './upgrade-from-old.ts';

/** In the order in which they are taken. */
export const allSteps: readonly Step[] = [
  ...[
    quiet,
    helmTest,
    newImage,
    scaleUp,
    scaleDown,
    autoscalerOn,
    autoscaledUp,
    autoscaledDown,
    autoscalerOff,
    ...forcedDeletions,
    eviction,
  ],
  ...[badImage, databasePassword, cursorKeys, schemaChange],
];
