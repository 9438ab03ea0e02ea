import { allSettled } from './new-image.ts';
import type { Step } from './types.ts';

/** Taken alone, in a cluster where the older services were installed. */
export const upgradeFromOld: Step = {
  name: "4e7239f's services upgraded to these",
  planned: true,
  async run(stage) {
    await stage.upgrade({ image: { tag: '1' } });
    await allSettled(stage);
    return 'a shim in the old image reads `_FILE` variables and drops unknown ones';
  },
};
