export { joinMembership, type Membership } from './membership.ts';
export { type OwnerTableParts, openOwnerTable } from './owner-table.ts';
export { type JoinOwnershipParts, joinOwnership } from './ownership.ts';
export type { Handoff, Owner, Ownership, OwnerTable, Tenure } from './types.ts';
