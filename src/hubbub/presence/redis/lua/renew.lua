-- Renews the lease of an incarnation, and finds those whose lease has ended.
-- KEYS  1 leases: a sorted set of incarnations by the end of their lease, in ms since the epoch by this server's clock
-- ARGV  1 the incarnation   2 the length of a lease, ms   3 'take' a new lease, or 'keep' the one that is held
-- Returns whether the lease is held (1, 0), the time in ms, then pairs: a dead incarnation, and when its lease ended.

local leases, incarnation, length = KEYS[1], ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local held = 1
if ARGV[3] == 'keep' then
  local lease = redis.call('ZSCORE', leases, incarnation)
  if not lease or tonumber(lease) <= now then
    held = 0 -- flushed, or frozen for too long: others may have declared it dead, so it never comes back
  end
end
if held == 1 then
  redis.call('ZADD', leases, string.format('%.0f', now + length), incarnation)
end
local answer = { held, now }
for _, value in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now), 'WITHSCORES')) do
  answer[#answer + 1] = value
end
return answer
