import type { CommandApp } from '../../lib/app/commands.ts';
import { decide, reject } from './decide.ts';
import { type Change, type Ledger, load, migrations, save } from './ledger.ts';

/** The bank: accounts that are opened, and money that moves between them. */
const bank: CommandApp<Ledger, Change> = { migrations, load, decide, save, reject };

export default bank;
