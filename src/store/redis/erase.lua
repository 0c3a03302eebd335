#!lua
-- Erases the log of one payment in one step: log, what is remembered of its events, and its references in the feed of the partition.
-- Those are replaced by others that say only which log they belonged to, by the tag of its first entry; one more tells of the erasure
-- itself, and so does the message to the nodes. A stream's entries cannot be changed, so the feed is written anew, which takes 2 to 3 ms
-- for its thousand entries. Redis does not roll a script back, so the script reads everything before its first write.
--
-- KEYS  log, meta, head, feed  as in append.lua; a reference to an erased log has t tag, x tag of the log's first entry, and that of
--                              the erasure also e events removed, n references replaced
--       changed                the index of the realm in the partition, as in append.lua, whether one is kept or not
-- ARGV  tag, channel, longest feed, payment
--
-- Returns {events removed, references replaced}. {0, 0} means that there was nothing, or an empty remainder.
local log, meta, head, feed, changed = unpack(KEYS)
local tag, channel, kept, payment = unpack(ARGV)

local events = redis.call('XLEN', log)
local entry = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local first = entry and entry[2][2]
local known = redis.call('HMGET', meta, 'seq')[1] or redis.call('HMGET', meta, 'provider')[1]
local last = redis.call('HMGET', head, 'pos', 'tag', 'listed')
local listed = redis.call('ZSCORE', changed, payment)
local time = redis.call('TIME')
local references = redis.call('XRANGE', feed, '-', '+')
local named = 0
for _, reference in ipairs(references) do
  local fields = reference[2]
  if fields[2] == tag then
    -- The same erasure, sent again because its answer was lost.
    return {tonumber(fields[6]), tonumber(fields[8])}
  end
  if fields[3] == 'l' and fields[4] == log then
    named = named + 1
    if fields[6] == '1' then
      first = first or fields[2]
    end
  end
end
-- A log whose time is over may still be listed.
if listed then
  redis.call('ZREM', changed, payment)
  redis.call('HSET', head, 'erased ' .. changed, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
if events == 0 and not known and named == 0 then
  return {0, 0}
end
first = first or '0'

redis.call('DEL', log, meta)
-- Concatenation would turn large numbers into 1e+14.
local pos = string.format('%.0f', (last[1] or 0) + 1)
if named > 0 or not last[1] then
  redis.call('DEL', feed)
  for _, reference in ipairs(last[1] and references or {}) do
    local fields = reference[2]
    if fields[3] == 'l' and fields[4] == log then
      fields = {'t', fields[2], 'x', first}
    end
    redis.call('XADD', feed, reference[1], unpack(fields))
  end
end
redis.call('XADD', feed, 'MAXLEN', '~', kept, pos .. '-0', 't', tag, 'x', first, 'e', events, 'n', named)
if last[1] and last[3] and last[3]:sub(16) == last[1] then
  -- The index knows of this too.
  redis.call('HSET', head, 'pos', pos, 'tag', tag, 'listed', last[3]:sub(1, 15) .. pos)
else
  redis.call('HSET', head, 'pos', pos, 'tag', tag)
end
redis.call('SPUBLISH', channel, table.concat({pos, last[2] or '0', tag, 'x', first}, ' '))
return {events, named}
