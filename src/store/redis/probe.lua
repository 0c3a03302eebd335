#!lua
-- Does nothing, but is refused wherever an append would be: no memory left, the disk full, too few replicas, a replica. And
-- since Redis asks a user's permissions only at the moment of each command, it asks for those of all scripts first.
--
-- KEYS  head       ARGV  channel
local head, channel = KEYS[1], ARGV[1]
local needed = {
  {'HMGET', head, 'pos'}, {'HSET', head, 'pos', '1'}, {'XLEN', head}, {'XRANGE', head, '-', '+'},
  {'XADD', head, '*', 't', '1'}, {'PEXPIRE', head, '1'}, {'DEL', head},
  {'SPUBLISH', channel, '1'}, {'SSUBSCRIBE', channel},
  {'TIME'}, {'HGET', head, 'pos'}, {'HDEL', head, 'pos'}, {'ZADD', head, '1', '1'}, {'ZCARD', head},
  {'ZRANGE', head, '0', '0'}, {'ZSCORE', head, '1'}, {'ZREM', head, '1'},
}
for _, command in ipairs(needed) do
  if not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM its user may not ' .. table.concat({command[1], command[2]}, ' '))
  end
end
return 'ready'
