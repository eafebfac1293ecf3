-- Announces that a user is offline, where nobody has come back since the caller was told that it owes this.
-- KEYS  1 the user   2 the incarnation's users   3 its tombstone
-- ARGV  1 incarnation   2 user id   3 the epoch it was told   4 when the user was seen, seconds since the epoch
--       5 valid until, ms   6 how long a user who is offline is remembered, seconds
--       7 the command that publishes   8, 9 channels   10 the publication of offline
-- Gives {'left'}, and again where the first answer was lost · {'back'}: nothing is owed any more ·
--       {'lost'}: nothing is known of the user · {'fenced'} · {'late'}

local key, users, incarnation, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local refused = refusal(KEYS[3], ARGV[5])
if refused then
  return { refused }
end
if redis.call('EXISTS', key) == 0 then
  return { 'lost' }
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
