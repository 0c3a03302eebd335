#!lua
-- Holds one record of a source's quarantine with its body, or settles it. A record is held under an id of its own, so that a call that
-- is made again, because its answer was lost, changes nothing.
--
-- KEYS  quarantine   stream, entry <ms>-<number>: r record
--       share        list: the ids of the share's entries, the oldest first
--       held         hash: e the entry's id, r record, b body, or, once it is settled, s what was said
-- ARGV  hold: record, body, the most records of a share, how long one is held in ms
--       settle: what is to be said, how long it is remembered in ms
-- Returns for hold how many records the share holds, -1 if it is full; for settle 1, what was said before, or nothing if there is no
-- such record.
local quarantine, share, held = KEYS[1], KEYS[2], KEYS[3]

if ARGV[1] == 'hold' then
  local record, body, most, life = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  if redis.call('EXISTS', held) == 1 then
    return redis.call('LLEN', share)
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- What is over makes room. Each of these was added once, so on average a call removes no more than one.
  local length = redis.call('LLEN', share)
  while length > 0 do
    local oldest = redis.call('LRANGE', share, 0, 0)[1]
    if tonumber(string.match(oldest, '^%d+')) + life >= now then
      break
    end
    redis.call('XDEL', quarantine, redis.call('LPOP', share))
    length = length - 1
  end
  if length >= most then
    return -1
  end
  local entry = redis.call('XADD', quarantine, '*', 'r', record)
  redis.call('HSET', held, 'e', entry, 'r', record, 'b', body)
  redis.call('PEXPIRE', held, life)
  return redis.call('RPUSH', share, entry)
end

local settlement, life = ARGV[2], tonumber(ARGV[3])
local known = redis.call('HMGET', held, 'e', 's')
if known[2] then
  return known[2]
end
if not known[1] then
  return false
end
redis.call('XDEL', quarantine, known[1])
redis.call('LREM', share, 1, known[1])
redis.call('HDEL', held, 'e', 'r', 'b')
redis.call('HSET', held, 's', settlement)
redis.call('PEXPIRE', held, life)
return 1
