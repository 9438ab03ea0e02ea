export {
  anotherConnection,
  closeRedis,
  connectRedis,
  openRedis,
  type RedisClient,
  type RedisConfig,
} from './connection.ts';
export { openScript, type Script, type ScriptArgument } from './script.ts';
