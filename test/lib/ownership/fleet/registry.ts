import type { Claim, ClaimAnswer } from '../../../../lib/ownership/registry.ts';
import type { Owner } from '../../../../lib/ownership/types.ts';

/** The rules of claim.lua and release.lua; a mutant breaks one. */
export const registryRules = {
  isStale(stored: Owner, claim: Claim): boolean {
    if (claim.mode === 'force') return false;
    if (claim.mode === 'keep') return stored.epoch > claim.knownEpoch;
    return stored.generation > claim.generation || (stored.generation === claim.generation && stored.address !== '');
  },
  nextEpoch: (stored: Owner | undefined, claim: Claim): number => Math.max(stored?.epoch ?? 0, claim.knownEpoch) + 1,
};
export type RegistryRules = typeof registryRules;

/** What Redis keeps of owners. `publish` is told of each change. */
export class SimulatedRegistry {
  entries = new Map<number, Owner>();
  readonly #rules: RegistryRules;
  readonly #publish: (partition: number, owner: Owner) => void;

  constructor(rules: RegistryRules, publish: (partition: number, owner: Owner) => void) {
    this.#rules = rules;
    this.#publish = publish;
  }

  claim(claim: Claim): ClaimAnswer {
    const { partition, memberId, address, generation, peer, knownEpoch } = claim;
    const stored = this.entries.get(partition);
    const mine = stored?.memberId === memberId && stored.address === address;
    if (stored !== undefined && !mine && this.#rules.isStale(stored, claim)) return { answer: 'STALE', holder: stored };
    const same = mine && stored.generation === generation && stored.epoch >= knownEpoch;
    const epoch = same ? stored.epoch : this.#rules.nextEpoch(stored, claim);
    const owner = { epoch, generation, address, memberId, peer };
    this.entries.set(partition, owner);
    this.#publish(partition, owner);
    return { answer: 'OK', epoch, predecessor: stored?.address === address ? '' : (stored?.address ?? '') };
  }

  release(partition: number, memberId: string): boolean {
    const stored = this.entries.get(partition);
    if (stored === undefined || stored.memberId !== memberId || stored.address === '') return false;
    const owner = { ...stored, address: '' };
    this.entries.set(partition, owner);
    this.#publish(partition, owner);
    return true;
  }
}
