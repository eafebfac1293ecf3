-- Sets what one node holds of a user, and announces what follows from it.
-- KEYS  1 the user   2 the incarnation's users   3 its tombstone
-- ARGV  1 incarnation   2 user id   3 sockets there   4 'online', 'away', or 'new': a first socket, no activity yet; without
--         a socket: the status last known, or 'transient': a socket that came and went, and was never written
--       5 when the user was seen, seconds since the epoch   6 valid until, ms   7 how long unused keys live, seconds
--       8 the command that publishes   9, 10 channels   11 the publication of online   12 of away; each is '' if it is not
--         possible
-- Returns {'present', status of the node} · {'leaving', epoch}: the caller is to announce offline · {'gone'}: it is not ·
--       {'fenced'} · {'late'} · {'invalid'}

local key, users, incarnation, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local count, status = tonumber(ARGV[3]), ARGV[4]
if not count or count < 0 or count ~= math.floor(count) then
  return { 'invalid' }
end
local refused = refusal(KEYS[3], ARGV[6])
if refused then
  return { refused }
end

local user = read(key)
local field = 'n:' .. incarnation
if count > 0 then
  if status == 'new' then -- a reload that lands on another node is no activity: away stays away
    status = user.s == 'away' and 'away' or 'online'
  end
  redis.call('HSET', key, field, string.format('%d:%s', count, status))
  redis.call('HDEL', key, 'o', 'e')
  redis.call('SADD', users, id)
  redis.call('EXPIRE', key, ARGV[7])
  redis.call('EXPIRE', users, ARGV[7])
elseif status == 'transient' and not user.s then
  return { 'gone' }
else
  redis.call('HDEL', key, field)
end
saw(key, user, ARGV[5])

local after = read(key)
if after.total > 0 then
  if count == 0 then
    redis.call('SREM', users, id)
  end
  if after.status ~= after.s then
    announce(key, after, after.status, after.status == 'online' and ARGV[11] or ARGV[12], ARGV[8], { ARGV[9], ARGV[10] })
  end
  return { 'present', status }
end

if after.s == 'offline' then
  redis.call('SREM', users, id)
  return { 'gone' }
end
if not after.s then -- the store lost its data, and other nodes may still show what was announced before
  redis.call('HSET', key, 's', status)
end
if after.o == incarnation then
  return { 'leaving', tonumber(after.e) }
end
if not after.o or status == 'transient' then -- another node would announce offline too soon after this socket
  return { 'leaving', expect_offline(key, after, users, incarnation, id, ARGV[7]) }
end
redis.call('SREM', users, id)
return { 'gone' }
