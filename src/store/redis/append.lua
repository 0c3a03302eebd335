#!lua
-- Appends events to the logs of their payments, each at most once: dedupe, seq, log, feed and publication in one step. One call
-- holds the appends that wait together. Each has an answer of its own, and one that fails does not hinder the others. Redis does not
-- roll a script back. So an append reads and checks everything before its first write, and the gateway checks the permissions of
-- its user at the start (probe.lua).
--
-- KEYS  for each append:
--       log   stream, entry <seq>-0: t tag, e event
--       meta  hash: seq, provider, and for each event in the log a field named by its identity: its digest (16 bytes), its seq; with an
--             index, first: the ms at which the payment came into it
--       head  hash: pos and tag of the partition's newest event
--       feed  stream, entry <pos>-0: t tag, l log key, s seq
--       and if there is an index of all payments, that of the realm in the partition:
--       changed  sorted set: payments by 1024 times the ms of their last append, plus its seq
-- ARGV  longest log, longest feed, replicas, payments of an index; then for each append:
--       tag, identity, digest, provider, shared, channel, event, payment (empty if the log is none of a payment), ms that the log lives
--
-- With an index, the head has also: listed, the ms of the last append, which never go back, in 15 digits, and the pos up to which the index
-- was kept; begun, the ms since when it was. A node without an index moves pos alone. Of each index, by its key: cut, since when all are in
-- it, in ms; erased, when one was erased last.
--
-- Returns for each append its seq if it is new, {'duplicate', seq, tag}, {reason} of a conflict, or an error.
local longest, kept, replicas, share = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
-- The newest place and tag of each partition that this call appends to, by the key of its head.
local heads = {}
-- What this call puts into indexes, by the key of meta: several events of one payment are one change.
local listings = {}
local call, format = redis.call, string.format
-- The server's time in ms, if there is an index.
local now = 0
if share > 0 then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Puts a payment into the index, and takes out what has no room any more.
local function list(listing, meta)
  local changed, head, payment, at, seq, is_new, expiry = unpack(listing, 1, 7)
  if call('ZADD', changed, format('%d', at * 1024 + seq), payment) == 1 then
    if not is_new then
      call('HSET', meta, 'first', format('%d', at))
    end
    local spare = call('ZCARD', changed) - share
    if spare > 0 then
      local out = call('ZPOPMIN', changed, spare)
      call('HSET', head, 'cut ' .. changed, format('%d', math.floor(out[#out] / 1024) + 1))
    end
  end
  -- A log whose expiry has used up its margin has the index looked at too. It gets the margin once more, since such a log may have been
  -- renewed as long ago, so it lives as long as what it names.
  if expiry and call('PTTL', changed) < tonumber(expiry) then
    call('PEXPIRE', changed, format('%d', expiry + math.floor(expiry / 180)))
  end
end

local function append(log, meta, head, feed, changed, tag, identity, digest, provider, shared, channel, event, payment, life)
  life = tonumber(life)
  local longest_expiry = life + math.floor(life / 180)
  local known = call('HMGET', meta, 'seq', 'provider', identity)
  local seq, owner, seen = tonumber(known[1] or 0), known[2], known[3]
  -- This is -2 if there is no log. An eviction may leave only one of the two keys behind. That is no log any more, so a new one
  -- replaces it.
  local left = call('PTTL', log)
  local halved = (left == -2) ~= (seq == 0)
  if halved then
    seq, owner, seen = 0, false, false
  end

  if seen then
    if seen:sub(1, 16) ~= digest then
      return {'facts_differ'}
    end
    local at = seen:sub(17) .. '-0'
    local original = call('XRANGE', log, at, at)[1][2][2]
    if replicas ~= '0' then
      -- WAIT counts the replicas that have the last write of this connection, but another connection may have written the
      -- original. This write changes nothing, and lets WAIT cover the original too.
      call('HSET', meta, 'seq', known[1])
    end
    -- If the original bears the tag of this append, it is this append, sent again because its answer was lost.
    return original == tag and tonumber(seen:sub(17)) or {'duplicate', seen:sub(17), original}
  end
  if owner and owner ~= provider and shared ~= '1' then
    return {'other_provider'}
  end
  if seq >= longest then
    return {'log_full'}
  end

  local last = heads[head]
  local at, begun = now
  if last then
    at, begun = last[3], last[4]
  elseif share > 0 then
    last = call('HMGET', head, 'pos', 'tag', 'listed')
    local listed = last[3] or ''
    at = math.max(now, tonumber(listed:sub(1, 15)) or 0)
    if last[1] and listed:sub(16) ~= last[1] then
      -- Something was appended that the index does not know, so it begins anew.
      begun = format('%d', at)
    end
  else
    last = call('HMGET', head, 'pos', 'tag')
  end
  local place = (last[1] or 0) + 1
  -- Concatenation would turn large numbers into 1e+14.
  local pos, number = format('%d', place), format('%d', seq + 1)

  if halved then
    call('DEL', log, meta)
  end
  if not last[1] then
    call('DEL', feed)
  end
  -- The server trims whole nodes of 100 entries anyway, so not every append needs to ask for it.
  if place % 64 == 0 then
    call('XADD', feed, 'MAXLEN', '~', kept, pos .. '-0', 't', tag, 'l', log, 's', number)
  else
    call('XADD', feed, pos .. '-0', 't', tag, 'l', log, 's', number)
  end
  -- From here on the reference stands, so the next one follows it even if somebody put a key of another type in the log's place.
  heads[head] = {pos, tag, at, begun}
  call('XADD', log, number .. '-0', 't', tag, 'e', event)
  local is_listed = share > 0 and payment ~= ''
  if owner then
    call('HSET', meta, 'seq', number, identity, digest .. number)
  elseif is_listed then
    call('HSET', meta, 'seq', number, 'provider', provider, identity, digest .. number, 'first', format('%d', at))
  else
    call('HSET', meta, 'seq', number, 'provider', provider, identity, digest .. number)
  end
  -- To set an expiry costs a write that is logged and replicated, and to look at it does not. So the expiry is set with a margin of
  -- 1/180 (one day of the default history), and not again before the margin is used up. A longer one stems from a longer history.
  local expiry
  if not owner or left < life or left > longest_expiry then
    expiry = format('%d', longest_expiry)
    call('PEXPIRE', log, expiry)
    call('PEXPIRE', meta, expiry)
  end
  if is_listed then
    local listing = listings[meta]
    if listing then
      listing[4], listing[5], listing[7] = at, seq + 1, expiry or listing[7]
    else
      listings[meta] = {changed, head, payment, at, seq + 1, not owner, expiry}
    end
  end
  call('SPUBLISH', channel, pos .. ' ' .. (last[2] or '0') .. ' ' .. tag .. ' ' .. number .. ' ' .. event)
  return seq + 1
end

local answers = {}
local keys = share > 0 and 5 or 4
for number = 1, #KEYS / keys do
  local key, word = keys * (number - 1), 9 * number - 4
  local done, answer = pcall(append, KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4], KEYS[key + 5],
    unpack(ARGV, word, word + 8))
  if not done and type(answer) ~= 'table' then
    -- An error of a command begins with its code, in versions where it is a text; one of Lua begins with a line.
    answer = redis.error_reply((answer:find('^%u+ ') and '' or 'ERR ') .. answer)
  end
  answers[number] = answer
end
for meta, listing in pairs(listings) do
  if not pcall(list, listing, meta) then
    -- The events stand, and the index misses them. So its place in the feed stays behind, and it begins anew.
    heads[listing[2]][3] = false
  end
end
for head, last in pairs(heads) do
  local pos, tag, at, begun = unpack(last, 1, 4)
  if share == 0 or not at then
    call('HSET', head, 'pos', pos, 'tag', tag)
  elseif begun then
    call('HSET', head, 'pos', pos, 'tag', tag, 'listed', format('%015d', at) .. pos, 'begun', begun)
  else
    call('HSET', head, 'pos', pos, 'tag', tag, 'listed', format('%015d', at) .. pos)
  end
end
return answers
