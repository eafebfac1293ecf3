-- Removes a dead incarnation's part in a user, and announces what follows from it.
-- KEYS  1 the user   2 the dead incarnation's users   3 the caller's users   4 the caller's tombstone
-- ARGV  1 the dead incarnation   2 user id   3 when the user was seen, seconds since the epoch
--       4 how long an offline user is remembered, seconds
--       5 the command that publishes   6, 7 channels   8, 9, 10 the publications of online, away, offline
--       11 the caller's incarnation   12 valid until, ms   13 how long unused keys live, seconds
--       14 a user seen after this may be about to come back, seconds since the epoch
-- Returns {'left'}: the user went offline by this · {'pending', when seen}: the caller is to announce offline later ·
--       {'rest'}: neither.

local key, users, dead, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local before = read(key)
redis.call('HDEL', key, 'n:' .. dead)
redis.call('SREM', users, id)
local user = read(key)
local channels = { ARGV[6], ARGV[7] }

if user.total > 0 then
  if user.status ~= user.s then
    announce(key, user, user.status, user.status == 'online' and ARGV[8] or ARGV[9], ARGV[5], channels)
  end
  return { 'rest' }
end
-- If a living node is to announce offline, it waits until the user had the time to come back; we have waited already.
local was_decisive = before.nodes[dead] or user.o == dead
if not was_decisive or not user.s or user.s == 'offline' then
  return { 'rest' }
end
-- A socket on a living node was closed a moment ago: a reload, perhaps.
if tonumber(user.seen or 0) > tonumber(ARGV[14]) and not refusal(KEYS[4], ARGV[12]) then
  expect_offline(key, user, KEYS[3], ARGV[11], id, ARGV[13])
  return { 'pending', user.seen }
end
saw(key, user, ARGV[3])
announce(key, user, 'offline', ARGV[10], ARGV[5], channels)
redis.call('EXPIRE', key, ARGV[4])
return { 'left' }
