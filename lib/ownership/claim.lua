-- Claims a partition for a gateway: raises its epoch, writes the owner, tells the routers.
--
-- KEYS[1]  hash of the partition's owner: epoch, generation, address, memberId, peer
-- ARGV[1]  generation of the claimant's control group
-- ARGV[2]  the claimant's member id
-- ARGV[3]  the claimant's address (base URL)
-- ARGV[4]  newest epoch of this partition that the claimant knows, 0 for none: epochs rise even after a FLUSHALL
-- ARGV[5]  gain: just assigned | keep: has owned it all along, epoch ARGV[4] | force: the group itself confirms it
-- ARGV[6]  channel of the routers
-- ARGV[7]  partition number, for the message
-- ARGV[8]  the claimant's peer port, host:port, or empty
--
-- Answers {1, epoch, predecessor}: claimed; the same claim again keeps its epoch. The predecessor is the address that stood
--         there and is not the claimant's own, or empty.
--         {0, generation, epoch, address, memberId, peer}: STALE, nothing changed; somebody newer is there.

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'generation', 'address', 'memberId', 'peer')
local epoch = tonumber(stored[1] or '0')
local generation = tonumber(stored[2] or '-1')
local mine = stored[4] == ARGV[2] and stored[3] == ARGV[3]

if ARGV[5] ~= 'force' and stored[1] and not mine then
  local stale
  if ARGV[5] == 'keep' then
    stale = epoch > tonumber(ARGV[4])
  else
    -- The same generation under another member id is another life of the group.
    stale = generation > tonumber(ARGV[1]) or (generation == tonumber(ARGV[1]) and stored[3] ~= '')
  end
  if stale then
    return {0, generation, epoch, stored[3] or '', stored[4] or '', stored[5] or ''}
  end
end

if not (mine and stored[5] == ARGV[8] and generation == tonumber(ARGV[1]) and epoch >= tonumber(ARGV[4])) then
  epoch = math.max(epoch, tonumber(ARGV[4])) + 1
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'generation', ARGV[1], 'address', ARGV[3], 'memberId', ARGV[2], 'peer', ARGV[8])
end
redis.call('PUBLISH', ARGV[6], cjson.encode({
  partition = tonumber(ARGV[7]), epoch = epoch, generation = tonumber(ARGV[1]), address = ARGV[3], memberId = ARGV[2],
  peer = ARGV[8],
}))
local predecessor = stored[3] or ''
if predecessor == ARGV[3] then predecessor = '' end
return {1, epoch, predecessor}
