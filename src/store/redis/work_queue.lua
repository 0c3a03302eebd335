#!lua
-- Keeps the pending confirmations of one source, or the parts of one realm for which events wait: adds them, leases each to one node at
-- a time, and removes those that are settled. Where this says `payment`, a queue of parts has the part. All times are the server's, in ms, so that the clocks of the nodes do not matter. Redis does not roll a script
-- back, so the script reads everything before its first write.
--
-- KEYS  pending  hash: for each payment '<hinted> <ticket> <delay> <attempts> <delayed since>':
--                  hinted         when it is due by the hints that came since the claim; 0 if none came
--                  ticket         the ticket of the present claim; '-' if there is none
--                  delay          why it was postponed last; '-' if it was not postponed since the last hint
--                  attempts       how often in a row it was postponed for that reason
--                  delayed since  when it was first postponed for that reason; 0 if it was not
--       due      sorted set: payments by the time at which they may be claimed: when they are due, or when their lease ends
--       since    sorted set: payments by the time since which they are pending, or at which they were answered last
--       pace     hash: next (the earliest time of the next claim), ticket and payment of the last claim
-- ARGV  'enqueue', payment, after, most       returns 'enqueued' or 'full'
--       'claim', ticket, spacing, lease       returns {'pending', payment, since, delay, attempts, delayed since}, {'later', ms}
--                                             or {'nothing'}
--       'settle', payment, ticket, delay ('-' if it is done), after, 'paused' or '-'
--                                             returns 'settled', or 'lost' if the claim has passed to another node
--       'forget', payment                     returns how many there were: 0 or 1
--       'oldest', limit                       returns the names that are pending longest, each with the ms since when
--       'backlog'                             returns {count, ms for which the oldest has been pending}
local pending, due, since, pace = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function entry(payment)
  local text = redis.call('HGET', pending, payment)
  if not text then
    return nil
  end
  local hinted, ticket, delay, attempts, delayed = text:match('^(%d+) (%S+) (%S+) (%d+) (%d+)$')
  if not hinted then
    return nil
  end
  return tonumber(hinted), ticket, {delay = delay, attempts = tonumber(attempts), since = tonumber(delayed)}
end

local none = {delay = '-', attempts = 0, since = 0}

local function put(payment, hinted, ticket, delayed)
  local text = string.format('%d %s %s %d %d', hinted, ticket, delayed.delay, delayed.attempts, delayed.since)
  redis.call('HSET', pending, payment, text)
end

if ARGV[1] == 'enqueue' then
  local payment, wanted, most = ARGV[2], now + tonumber(ARGV[3]), tonumber(ARGV[4])
  local hinted, ticket = entry(payment)
  if not hinted and redis.call('ZCARD', due) >= most then
    return 'full'
  end
  -- This writes in any case, so that WAIT covers what was written before too.
  if ticket and ticket ~= '-' then
    put(payment, hinted > 0 and math.min(hinted, wanted) or wanted, ticket, none)
  else
    put(payment, 0, '-', none)
    redis.call('ZADD', due, 'LT', wanted, payment)
    redis.call('ZADD', since, 'NX', now, payment)
  end
  return 'enqueued'
end

if ARGV[1] == 'claim' then
  local ticket, spacing, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
  local last = redis.call('HMGET', pace, 'next', 'ticket', 'payment')
  local payment
  if last[2] == ticket then
    -- The same claim, sent again because its answer was lost.
    payment = last[3]
  else
    local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
    if not first[1] then
      return {'nothing'}
    end
    local at = math.max(tonumber(first[2]), tonumber(last[1] or 0))
    if at > now then
      return {'later', at - now}
    end
    payment = first[1]
  end
  local _, _, delayed = entry(payment)
  delayed = delayed or none
  local pending_since = redis.call('ZSCORE', since, payment) or now
  put(payment, 0, ticket, delayed)
  redis.call('ZADD', due, now + lease, payment)
  redis.call('HSET', pace, 'next', now + spacing, 'ticket', ticket, 'payment', payment)
  return {'pending', payment, tonumber(pending_since), delayed.delay, delayed.attempts, delayed.since}
end

if ARGV[1] == 'settle' then
  local payment, ticket, delay, after, paused = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
  local hinted, holder, delayed = entry(payment)
  if holder ~= ticket then
    return 'lost'
  end
  local next = tonumber(redis.call('HGET', pace, 'next') or 0)
  if delay == '-' and hinted == 0 then
    redis.call('HDEL', pending, payment)
    redis.call('ZREM', due, payment)
    redis.call('ZREM', since, payment)
    return 'settled'
  end
  local at = now + after
  if hinted > 0 then
    at = delay == '-' and hinted or math.min(hinted, at)
    delayed = none
  elseif delayed.delay == delay then
    delayed.attempts = delayed.attempts + 1
  else
    delayed = {delay = delay, attempts = 1, since = now}
  end
  put(payment, 0, '-', delayed)
  redis.call('ZADD', due, at, payment)
  if delay == '-' or delay == 'doubted' then
    redis.call('ZADD', since, now, payment)
  end
  if paused == 'paused' then
    redis.call('HSET', pace, 'next', math.max(next, now + after))
  end
  return 'settled'
end

if ARGV[1] == 'forget' then
  local payment = ARGV[2]
  local last = redis.call('HGET', pace, 'payment')
  local removed = redis.call('HDEL', pending, payment)
  redis.call('ZREM', due, payment)
  redis.call('ZREM', since, payment)
  if last == payment then
    redis.call('HDEL', pace, 'ticket', 'payment')
  end
  return removed
end

if ARGV[1] == 'oldest' then
  return redis.call('ZRANGE', since, 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
end

local oldest = redis.call('ZRANGE', since, 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', due), oldest[2] and now - tonumber(oldest[2]) or 0}
