import { commands } from './commands.ts';
import { overview } from './overview.ts';
import { ownership } from './ownership.ts';
import { replay } from './replay.ts';
import { scaling } from './scaling.ts';
import type { Dashboard } from './types.ts';

export const dashboards: readonly Dashboard[] = [overview, ownership, replay, commands, scaling];
