-- Takes over a partition's replay buffer, and says how far it reaches.
--
-- KEYS[1]  hash of the window: generation, counter, id, tail, from, mark, marked, epoch, bytes, marks (see append.lua)
-- ARGV[1]  fence of the claimant: generation of its control group
-- ARGV[2]  fence of the claimant: counter within it
-- ARGV[3]  1: the group itself confirms the claimant against a newer fence; the buffer begins anew above that
--
-- Answers {'STALE', generation, counter}: somebody newer is there, nothing changed.
--         {'OK', generation, counter, id, tail, from, mark, timestamp of mark, epoch}: the fence that counts now, and the
--         window; id empty where there is none (an empty Redis, a lost part, a script that died half-way).

local stored = redis.call('HMGET', KEYS[1], 'generation', 'counter', 'id', 'tail', 'from', 'mark', 'marked', 'epoch')
local generation, counter = tonumber(ARGV[1]), tonumber(ARGV[2])
local theirs, theirCounter = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
local id, tail = stored[3] or '', stored[4] or ''

if theirs > generation or (theirs == generation and theirCounter > counter) then
  if ARGV[3] ~= '1' then
    return {'STALE', stored[1], stored[2]}
  end
  generation, counter, id = theirs, theirCounter + 1, ''
end
-- The set and the hash can be evicted one without the other.
if id ~= '' and (tail == '' or not redis.call('ZSCORE', KEYS[1] .. ':last:' .. id, '#')) then
  id = ''
end
if id == '' then
  redis.call('HSET', KEYS[1], 'generation', generation, 'counter', counter, 'id', '', 'tail', '')
  return {'OK', tostring(generation), tostring(counter), '', '', '', '', '', ''}
end
redis.call('HSET', KEYS[1], 'generation', generation, 'counter', counter)
return {'OK', tostring(generation), tostring(counter), id, tail, stored[5], stored[6] or '', stored[7] or '',
  stored[8] or ''}
