-- Begins a new window of a partition's replay buffer, after every gap: the only repair that needs no proof. Or ends the
-- one that is there.
--
-- KEYS[1]  hash of the window
-- ARGV[1]  fence: generation
-- ARGV[2]  fence: counter
-- ARGV[3]  id of the new window, never used before, so that no stream of an older one is read again; empty: no window
-- ARGV[4]  from: every record at or behind this offset will be in it
-- ARGV[5]  tail: from - 1
-- ARGV[6]  how long a window that nobody touches is kept, ms
--
-- Answers {'STALE', generation, counter}: nothing changed. {'OK'}

local stored = redis.call('HMGET', KEYS[1], 'generation', 'counter', 'id')
local generation, counter = tonumber(ARGV[1]), tonumber(ARGV[2])
local theirs, theirCounter = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
if theirs > generation or (theirs == generation and theirCounter > counter) then
  return {'STALE', stored[1], stored[2]}
end

redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'counter', ARGV[2], 'id', ARGV[3], 'tail', ARGV[5],
  'from', ARGV[4], 'mark', '', 'marked', '', 'epoch', '', 'bytes', 0, 'marks', '')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[3] ~= '' then
  -- Tells an empty set from an evicted one.
  local last = KEYS[1] .. ':last:' .. ARGV[3]
  redis.call('ZADD', last, '+inf', '#')
  redis.call('PEXPIRE', last, ARGV[6])
end

-- What the old window leaves would expire; a thousand streams of it go at once.
local old = stored[3] or ''
if old ~= '' and old ~= ARGV[3] then
  local last = KEYS[1] .. ':last:' .. old
  for _, member in ipairs(redis.call('ZRANGE', last, 0, 999)) do
    redis.call('UNLINK', KEYS[1] .. ':key:' .. old .. ':' .. string.sub(member, 2))
  end
  redis.call('UNLINK', last)
end
return {'OK'}
