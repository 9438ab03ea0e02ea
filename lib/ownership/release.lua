-- Takes a gateway's name off a partition, if it is still there. Epoch and generation stay: they must never go back.
--
-- KEYS[1]  hash of the partition's owner
-- ARGV[1]  member id of who releases
-- ARGV[2]  channel of the routers
-- ARGV[3]  partition number, for the message
--
-- Answers 1: released; 0: somebody else's, nothing changed.

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'generation', 'address', 'memberId')
if stored[4] ~= ARGV[1] or stored[3] == '' then
  return 0
end
redis.call('HSET', KEYS[1], 'address', '')
redis.call('PUBLISH', ARGV[2], cjson.encode({
  partition = tonumber(ARGV[3]), epoch = tonumber(stored[1]), generation = tonumber(stored[2]), address = '', memberId = ARGV[1],
}))
return 1
