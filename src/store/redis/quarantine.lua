#!lua
-- Keeps one record of a source's quarantine, and removes the oldest record of the same share if the share has more than it may
-- have. So no number of records of one share displaces a record of another. A record that an older version kept belongs to no
-- share and is never removed; there are at most some 1,100 of these. Returns how many it removed.
--
-- KEYS  quarantine   stream, entry <ms>-<number>: r record
--       share        list: the ids of the share's entries, the oldest first
-- ARGV  record, the most records of a share
local quarantine, share = KEYS[1], KEYS[2]
local record, most = ARGV[1], tonumber(ARGV[2])

local id = redis.call('XADD', quarantine, '*', 'r', record)
redis.call('RPUSH', share, id)
local removed = 0
while redis.call('LLEN', share) > most do
  redis.call('XDEL', quarantine, redis.call('LPOP', share))
  removed = removed + 1
end
return removed
