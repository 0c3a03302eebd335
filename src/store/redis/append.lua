#!lua
-- Appends one event to its payment's log, at most once: dedupe, seq, log, feed and publication in one step. Redis does not
-- roll a script back, so everything is read and checked before the first write.
--
-- KEYS  log   stream, entry <seq>-0: t tag, e event
--       meta  hash: seq, provider, and for every event seen, by its identity, its digest (16 bytes) and its seq
--       head  hash: pos and tag of the partition's newest event
--       feed  stream, entry <pos>-0: t tag, l log key, s seq
-- ARGV  tag, identity, digest, provider, shared, event, channel, history in ms, longest log, longest feed, replicas
--
-- Returns {'new', seq, pos}, {'duplicate', seq, tag}, or {reason} of a conflict.
local log, meta, head, feed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tag, identity, digest, provider, shared, event, channel, history, longest, kept, replicas = unpack(ARGV)

local known = redis.call('HMGET', meta, 'seq', 'provider', identity)
local seq, owner, seen = tonumber(known[1] or 0), known[2], known[3]
-- Half a log is what an eviction leaves behind. It is no log, so what is left begins anew.
local halved = redis.call('XLEN', log) ~= seq
if halved then
  seq, owner, seen = 0, false, false
end

if seen then
  if seen:sub(1, 16) ~= digest then
    return {'facts_differ'}
  end
  local at = seen:sub(17) .. '-0'
  local original = redis.call('XRANGE', log, at, at)[1][2][2]
  local reply = {'duplicate', seen:sub(17), original}
  if original == tag then
    -- Our own, sent again because its answer was lost.
    for _, entry in ipairs(redis.call('XREVRANGE', feed, '+', '-')) do
      if entry[2][2] == tag then
        reply = {'new', seen:sub(17), entry[1]:match('^%d+')}
        break
      end
    end
  end
  if replicas ~= '0' then
    -- WAIT looks at this connection's last write, and the original may be another's: a write that changes nothing.
    redis.call('HSET', meta, 'seq', known[1])
  end
  return reply
end
if owner and owner ~= provider and shared ~= '1' then
  return {'other_provider'}
end
if seq >= tonumber(longest) then
  return {'log_full'}
end

local last = redis.call('HMGET', head, 'pos', 'tag')
-- Concatenation would write large numbers as 1e+14.
local pos = string.format('%.0f', (last[1] or 0) + 1)
seq = string.format('%d', seq + 1)

if halved then
  redis.call('DEL', log, meta)
end
if not last[1] then
  redis.call('DEL', feed)
end
redis.call('XADD', feed, 'MAXLEN', '~', kept, pos .. '-0', 't', tag, 'l', log, 's', seq)
redis.call('XADD', log, seq .. '-0', 't', tag, 'e', event)
if owner then
  redis.call('HSET', meta, 'seq', seq, identity, digest .. seq)
else
  redis.call('HSET', meta, 'seq', seq, 'provider', provider, identity, digest .. seq)
end
redis.call('PEXPIRE', log, history)
redis.call('PEXPIRE', meta, history)
redis.call('HSET', head, 'pos', pos, 'tag', tag)
redis.call('SPUBLISH', channel, table.concat({pos, last[2] or '0', tag, seq, event}, ' '))
return {'new', seq, pos}
