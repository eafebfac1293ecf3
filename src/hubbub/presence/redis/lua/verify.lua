-- Compares what a node holds of a bucket's users with what is stored, and keeps what is stored from expiring.
-- KEYS  1 the incarnation's users   2 its tombstone   3… the users
-- ARGV  1 incarnation   2 how long unused keys live, seconds   3 valid until, ms   4… pairs, for each user in KEYS: the
--         id, and `<sockets>:<status>`; '' for a user who is not to be compared
-- Returns {'fenced'} · {'late'} · {'differ', …}: the users to write again, and those that are stored although the node
--       does not have them.

local users, incarnation = KEYS[1], ARGV[1]
local refused = refusal(KEYS[2], ARGV[3])
if refused then
  return { refused }
end
local answer = { 'differ' }
local named = {}
for i = 3, #KEYS do
  local id, share = ARGV[2 * i - 2], ARGV[2 * i - 1]
  local user = read(KEYS[i])
  named[id] = true
  if share ~= '' then
    if user.nodes[incarnation] ~= share or user.s ~= user.status or redis.call('SISMEMBER', users, id) == 0 then
      answer[#answer + 1] = id
    else
      redis.call('EXPIRE', KEYS[i], ARGV[2])
    end
  end
end
for _, id in ipairs(redis.call('SMEMBERS', users)) do
  if not named[id] then
    answer[#answer + 1] = id
  end
end
redis.call('EXPIRE', users, ARGV[2])
return answer
