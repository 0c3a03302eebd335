#!lua
-- Changes nothing, but fails wherever an append would fail: on a replica, without memory, with a full disk, with too few
-- replicas. Redis checks the permissions of a user only when a command runs, so this script checks beforehand the permissions
-- for all commands of the store that the checks of a connection do not run themselves.
--
-- KEYS  head       ARGV  channel
local head, channel = KEYS[1], ARGV[1]
local needed = {
  {'HMGET', head, 'pos'}, {'HSET', head, 'pos', '1'}, {'XLEN', head}, {'XRANGE', head, '-', '+'},
  {'XADD', head, '*', 't', '1'}, {'PTTL', head}, {'PEXPIRE', head, '1'}, {'DEL', head},
  {'SPUBLISH', channel, '1'}, {'SSUBSCRIBE', channel},
  {'TIME'}, {'HGET', head, 'pos'}, {'HDEL', head, 'pos'}, {'ZADD', head, '1', '1'}, {'ZCARD', head},
  {'ZRANGE', head, '0', '0'}, {'ZSCORE', head, '1'}, {'ZREM', head, '1'}, {'ZCOUNT', head, '0', '1'},
  {'ZPOPMIN', head, '1'},
  {'SADD', head, '1'}, {'SMEMBERS', head}, {'XREVRANGE', head, '+', '-'}, {'SET', head, '1'}, {'EXISTS', head},
  {'RPUSH', head, '1'}, {'LLEN', head}, {'LPOP', head}, {'XDEL', head, '1-1'},
}
for _, command in ipairs(needed) do
  if not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM its user may not ' .. table.concat({command[1], command[2]}, ' '))
  end
end
return 'ready'
