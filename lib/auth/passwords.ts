import * as crypto from 'node:crypto';
import { promisify } from 'node:util';

/**
 * Password hashes as PHC strings (github.com/P-H-C/phc-string-format), so that parameters can be raised later: an
 * outdated hash still verifies and is replaced at the next login. Parameters: OWASP Password Storage Cheat Sheet,
 * Argon2id with 19 MiB and 2 passes, or scrypt with N = 2^15 (32 MiB), r = 8, p = 3 where Node is older than 24.7.
 */
export interface PasswordCheck {
  matches: boolean;
  /** The hash was made with other parameters than are used now. */
  outdated: boolean;
}

const saltBytes = 16;
const hashBytes = 32;
const argon2 = { memoryKib: 19_456, passes: 2, lanes: 1 };
const scrypt = { costLog2: 15, blockSize: 8, parallelization: 3 };

type Derive = (password: string, salt: Buffer, lengthBytes: number) => Promise<Buffer>;

/** Not in every Node 24. */
const hasArgon2 = typeof crypto.argon2 === 'function';

const currentPrefix = hasArgon2
  ? `$argon2id$v=19$m=${argon2.memoryKib},t=${argon2.passes},p=${argon2.lanes}$`
  : `$scrypt$ln=${scrypt.costLog2},r=${scrypt.blockSize},p=${scrypt.parallelization}$`;

/** A PHC string for a password. Takes about 50 ms of one core, and 19 MiB. */
export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.randomBytes(saltBytes);
  const { derive } = parse(currentPrefix);
  const hash = await derive(password, salt, hashBytes);
  return `${currentPrefix}${unpadded(salt)}$${unpadded(hash)}`;
}

/** @throws Error when the stored string is none that this Node can check. */
export async function checkPassword(stored: string, password: string): Promise<PasswordCheck> {
  const { derive, salt, hash } = parse(stored);
  const derived = await derive(password, salt, hash.length);
  const matches = hash.length >= 16 && crypto.timingSafeEqual(derived, hash);
  return { matches, outdated: !stored.startsWith(currentPrefix) };
}

function parse(phc: string): { derive: Derive; salt: Buffer; hash: Buffer } {
  const argon = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]*)(?:\$(.*))?$/.exec(phc);
  if (argon !== null) {
    const [, memory, passes, lanes, salt = '', hash = ''] = argon;
    return {
      derive: argon2Derive(Number(memory), Number(passes), Number(lanes)),
      salt: Buffer.from(salt, 'base64'),
      hash: Buffer.from(hash, 'base64'),
    };
  }
  const old = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]*)(?:\$(.*))?$/.exec(phc);
  if (old === null) throw new Error('a stored password hash is in no known format');
  const [, costLog2, blockSize, parallelization, salt = '', hash = ''] = old;
  return {
    derive: scryptDerive(Number(costLog2), Number(blockSize), Number(parallelization)),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  };
}

function argon2Derive(memory: number, passes: number, parallelism: number): Derive {
  if (!hasArgon2) throw new Error('a stored password hash needs Argon2: Node 24.7 or later');
  const derive = promisify(crypto.argon2);
  return (password, nonce, tagLength) =>
    derive('argon2id', { message: password, nonce, parallelism, tagLength, memory, passes });
}

function scryptDerive(costLog2: number, blockSize: number, parallelization: number): Derive {
  const cost = 2 ** costLog2;
  const maxmem = 256 * cost * blockSize;
  const derive = promisify<crypto.BinaryLike, crypto.BinaryLike, number, crypto.ScryptOptions, Buffer>(crypto.scrypt);
  return (password, salt, lengthBytes) =>
    derive(password, salt, lengthBytes, { cost, blockSize, parallelization, maxmem });
}

/** Standard base64 without padding, as PHC strings have it. */
function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
