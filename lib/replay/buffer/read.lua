-- What a partition's replay buffer has of one key behind an offset. Proves nothing by itself: see proof.ts.
--
-- KEYS[1]  hash of the window (append.lua says what is made from it)
-- ARGV[1]  user key
-- ARGV[2]  least id wanted: the offset + 2
-- ARGV[3]  most records
-- ARGV[4]  bytes of records at which no further one is taken
-- ARGV[5]  block of timestamps that the offset is in
-- ARGV[6]  where it stands in it, first byte
-- ARGV[7]  last byte
--
-- Answers {}: there is no window.
--         {tail, from, last offset of the key or '', timestamp at the offset as bytes, [[id, previous, record], …],
--          epoch as it is kept or ''}

local stored = redis.call('HMGET', KEYS[1], 'id', 'tail', 'from', 'epoch')
local id, tail = stored[1] or '', stored[2] or ''
if id == '' or tail == '' then
  return {}
end
local last = KEYS[1] .. ':last:' .. id
if not redis.call('ZSCORE', last, '#') then
  return {}
end
local times = redis.call('GETRANGE', KEYS[1] .. ':times:' .. id .. ':' .. ARGV[5], ARGV[6], ARGV[7])
local lastOffset = redis.call('ZSCORE', last, '=' .. ARGV[1]) or ''
local entries, bytes = {}, 0
local stream = KEYS[1] .. ':key:' .. id .. ':' .. ARGV[1]
for _, entry in ipairs(redis.call('XRANGE', stream, ARGV[2], '+', 'COUNT', ARGV[3])) do
  if bytes >= tonumber(ARGV[4]) then
    break
  end
  local fields = entry[2]
  entries[#entries + 1] = {entry[1], fields[2], fields[4]}
  bytes = bytes + #fields[4]
end
return {tail, stored[3], lastOffset, times, entries, stored[4] or ''}
