-- Announces that a user is offline, unless the user has come back since the caller became responsible for it.
-- KEYS  1 the user   2 the incarnation's users   3 its tombstone
-- ARGV  1 incarnation   2 user id   3 the epoch since which it is responsible   4 when the user was seen, seconds since the
--         epoch   5 valid until, ms   6 how long an offline user is remembered, seconds
--       7 the command that publishes   8, 9 channels   10 the publication of offline
-- Returns {'left'}, and again if the first answer was lost · {'back'}: nothing is to be announced any more ·
--       {'unknown'}: nothing is stored of the user · {'fenced'} · {'late'}

local key, users, incarnation, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local refused = refusal(KEYS[3], ARGV[5])
if refused then
  return { refused }
end
if redis.call('EXISTS', key) == 0 then
  return { 'unknown' }
end
local user = read(key)
if user.o ~= incarnation or user.e ~= ARGV[3] then
  if not user.nodes[incarnation] then
    redis.call('SREM', users, id)
  end
  return { 'back' }
end
redis.call('SREM', users, id)
if user.s ~= 'offline' then
  saw(key, user, ARGV[4])
  announce(key, user, 'offline', ARGV[10], ARGV[7], { ARGV[8], ARGV[9] })
  redis.call('EXPIRE', key, ARGV[6])
end
return { 'left' }
