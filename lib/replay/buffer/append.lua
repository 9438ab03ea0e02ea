-- Appends consecutive records of a partition to its replay buffer.
--
-- KEYS[1]  hash of the window: generation, counter (fence); id; tail (last offset appended); from (every record at or
--          behind it has been appended and is not aged out); mark, marked (offset and timestamp of the last record);
--          epoch (`tail:leader epoch of the record there`, empty where that is not known);
--          bytes (appended so far); marks (`ms:tail:bytes`, comma-separated: how far it reached when, for ageing)
--   made from it, all in its slot:
--   <key>:last:<id>         sorted set: '=' .. user key → offset of its last record; '#' → +inf
--   <key>:key:<id>:<user>   stream: id = offset + 1, p = offset of the key's record before it, r = the record
--   <key>:times:<id>:<n>    timestamps of the offsets from n * 1024 on, 8 bytes each; zeros where there is no record
-- ARGV[1]  fence: generation
-- ARGV[2]  fence: counter
-- ARGV[3]  id of the window
-- ARGV[4]  the tail that the appender expects
-- ARGV[5]  the new tail
-- ARGV[6]  offset of the last record up to it, empty for none
-- ARGV[7]  timestamp of that record
-- ARGV[8]  size of the records, bytes
-- ARGV[9]  most records of a key
-- ARGV[10] age at which a record is given up, ms
-- ARGV[11] most bytes of the window
-- ARGV[12] how long a stream is kept after its last record, ms: longer than the age
-- ARGV[13] how long a window that nobody touches is kept, ms
-- ARGV[14] epoch, as it is kept
-- ARGV[15] number of keys, then for each: key, number of its records, and for each of these offset, record
-- then     for each stretch of timestamps: block, position in bytes, the bytes
--
-- Answers {'STALE', generation, counter}: a newer fence is there, nothing changed.
--         {'HOLE'}: not the window or not the tail that was expected, nothing changed. {'OK', from}

local stored = redis.call('HMGET', KEYS[1], 'generation', 'counter', 'id', 'tail', 'from', 'bytes', 'marks')
local generation, counter = tonumber(ARGV[1]), tonumber(ARGV[2])
local theirs, theirCounter = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
if theirs > generation or (theirs == generation and theirCounter > counter) then
  return {'STALE', stored[1], stored[2]}
end
local id = ARGV[3]
local last = KEYS[1] .. ':last:' .. id
if stored[3] ~= id or stored[4] ~= ARGV[4] or not redis.call('ZSCORE', last, '#') then
  return {'HOLE'}
end

-- Should this script die half-way, the window has no tail, and is given up. (The first write of a script is the one
-- that a full Redis refuses.)
redis.call('HSET', KEYS[1], 'tail', '')

local from = stored[5]
local unknownBefore = string.format('%.0f', tonumber(from) - 1)
local at = 16
for _ = 1, tonumber(ARGV[15]) do
  local stream = KEYS[1] .. ':key:' .. id .. ':' .. ARGV[at]
  local member = '=' .. ARGV[at]
  local previous = redis.call('ZSCORE', last, member) or unknownBefore
  local count = tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, count do
    local entry = string.format('%.0f-0', tonumber(ARGV[at]) + 1)
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[9], entry, 'p', previous, 'r', ARGV[at + 1])
    previous = ARGV[at]
    at = at + 2
  end
  redis.call('ZADD', last, previous, member)
  redis.call('XTRIM', stream, 'MINID', '~', string.format('%.0f', tonumber(from) + 1))
  redis.call('PEXPIRE', stream, ARGV[12])
end
while ARGV[at] do
  local times = KEYS[1] .. ':times:' .. id .. ':' .. ARGV[at]
  redis.call('SETRANGE', times, ARGV[at + 1], ARGV[at + 2])
  redis.call('PEXPIRE', times, ARGV[12])
  at = at + 3
end

-- Ageing: everything that was there when a mark was made goes when the mark is too old, or too many bytes ago.
local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local age, budget = tonumber(ARGV[10]), tonumber(ARGV[11])
local bytes = tonumber(stored[6]) + tonumber(ARGV[8])
local marks, lastMs, lastBytes = {}, 0, 0
for text in string.gmatch(stored[7], '[^,]+') do
  local ms, tail, before = string.match(text, '(%d+):(%d+):(%d+)')
  lastMs, lastBytes = tonumber(ms), tonumber(before)
  if nowMs - lastMs > age or bytes - lastBytes > budget then
    from = string.format('%.0f', math.max(tonumber(from), tonumber(tail) + 1))
  else
    marks[#marks + 1] = text
  end
end
if nowMs - lastMs >= age / 16 or bytes - lastBytes >= budget / 16 then
  marks[#marks + 1] = string.format('%.0f', nowMs) .. ':' .. ARGV[5] .. ':' .. string.format('%.0f', bytes)
end
-- A bounded number a call: what is left over does no harm.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', last, '-inf', '(' .. from, 'LIMIT', 0, 500)) do
  redis.call('UNLINK', KEYS[1] .. ':key:' .. id .. ':' .. string.sub(member, 2))
  redis.call('ZREM', last, member)
end

redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'counter', ARGV[2], 'tail', ARGV[5], 'from', from,
  'epoch', ARGV[14], 'bytes', string.format('%.0f', bytes), 'marks', table.concat(marks, ','))
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'mark', ARGV[6], 'marked', ARGV[7])
end
redis.call('PEXPIRE', KEYS[1], ARGV[13])
redis.call('PEXPIRE', last, ARGV[13])
return {'OK', from}
