#!lua
-- Adds lines to the receipt of one payment, as far as there is room. A call that is made again, because its answer was lost, adds lines
-- that are there already; whoever reads a receipt takes each once.
--
-- KEYS  receipt   hash: the lines of each stream and each process by its name; `#streams` and `#nodes` count them, `#left_out` counts lines
--                 for which there was no room
-- ARGV  how long it is kept from now on in ms, the most bytes of one text, the most streams, the most processes, lines left out already,
--       and then for each text: its kind `streams` or `nodes`, its name, the lines to add
-- Returns how many lines were left out.
local receipt = KEYS[1]
local life, longest = ARGV[1], tonumber(ARGV[2])
local most = {streams = tonumber(ARGV[3]), nodes = tonumber(ARGV[4])}
local left_out = tonumber(ARGV[5])

for place = 6, #ARGV, 3 do
  local kind, name, lines = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  local text = redis.call('HGET', receipt, name)
  if not text and tonumber(redis.call('HGET', receipt, '#' .. kind) or '0') >= most[kind] then
    local _, count = string.gsub(lines, '\n', '\n')
    left_out = left_out + count
  else
    if not text then
      redis.call('HINCRBY', receipt, '#' .. kind, 1)
      text = ''
    end
    local length, added = #text, {text}
    for line in string.gmatch(lines, '[^\n]*\n') do
      if length + #line <= longest then
        length = length + #line
        added[#added + 1] = line
      else
        left_out = left_out + 1
      end
    end
    redis.call('HSET', receipt, name, table.concat(added))
  end
end
if left_out > 0 then
  redis.call('HINCRBY', receipt, '#left_out', left_out)
end
redis.call('PEXPIRE', receipt, life)
return left_out
