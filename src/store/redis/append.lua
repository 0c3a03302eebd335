#!lua
-- Appends one event to the log of its payment, at most once: dedupe, seq, log, feed and publication in one step. Redis does
-- not roll a script back. So the script reads and checks everything before its first write, and the gateway checks the
-- permissions of its user at the start (probe.lua).
--
-- KEYS  log   stream, entry <seq>-0: t tag, e event
--       meta  hash: seq, provider, and for each event in the log a field named by its identity: its digest (16 bytes), its seq
--       head  hash: pos and tag of the partition's newest event
--       feed  stream, entry <pos>-0: t tag, l log key, s seq
-- ARGV  tag, identity, digest, provider, shared, event, channel, history in ms, longest log, longest feed, replicas
--
-- Returns {'new', seq}, {'duplicate', seq, tag}, or {reason} of a conflict.
local log, meta, head, feed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tag, identity, digest, provider, shared, event, channel, history, longest, kept, replicas = unpack(ARGV)

local known = redis.call('HMGET', meta, 'seq', 'provider', identity)
local seq, owner, seen = tonumber(known[1] or 0), known[2], known[3]
-- An eviction may leave only one of the two keys behind. That is no log any more, so a new one replaces it.
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
  if replicas ~= '0' then
    -- WAIT counts the replicas that have the last write of this connection, but another connection may have written the
    -- original. This write changes nothing, and lets WAIT cover the original too.
    redis.call('HSET', meta, 'seq', known[1])
  end
  -- If the original bears the tag of this append, it is this append, sent again because its answer was lost.
  return {original == tag and 'new' or 'duplicate', seen:sub(17), original}
end
if owner and owner ~= provider and shared ~= '1' then
  return {'other_provider'}
end
if seq >= tonumber(longest) then
  return {'log_full'}
end

local last = redis.call('HMGET', head, 'pos', 'tag')
-- Concatenation would turn large numbers into 1e+14.
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
-- To set an expiry costs a write that is logged and replicated, and to look at it does not. So the expiry is set with a margin of
-- 1/180 (one day of the default history), and not again before the margin is used up. A longer one stems from a longer history.
local margin = math.floor(history / 180)
local left = owner and redis.call('PTTL', meta) or -1
if left < tonumber(history) or left > history + margin then
  local expiry = string.format('%d', history + margin)
  redis.call('PEXPIRE', log, expiry)
  redis.call('PEXPIRE', meta, expiry)
end
redis.call('HSET', head, 'pos', pos, 'tag', tag)
redis.call('SPUBLISH', channel, table.concat({pos, last[2] or '0', tag, seq, event}, ' '))
return {'new', seq}
