-- The start of every other script: it is put before each of them.
--
-- A user is one hash: `n:<incarnation>` = `<sockets>:<online|away>` for every node with a socket of the user, and
--   s     the status last announced            v  its version, which only rises
--   seen  when last seen, seconds since the epoch
--   o, e  while no node has a socket: the incarnation that is to announce offline, and since when (an epoch, in ms)
-- Every bucket has, per incarnation, a set of its users (those with a socket there, and those that it is to announce
-- offline); and for a while after an incarnation was declared dead a tombstone, which refuses what it still sends.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Returns why a write is refused: its incarnation was declared dead, or it was on its way for too long. Otherwise nil.
local function refusal(tombstone, valid_until)
  if redis.call('EXISTS', tombstone) == 1 then
    return 'fenced'
  end
  if now_ms() > tonumber(valid_until) then
    return 'late'
  end
  return nil
end

-- Reads a user: the fields above, the number of sockets, and the status that follows from all nodes together.
local function read(key)
  local user = { total = 0, nodes = {} }
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, 2) == 'n:' then
      local count, status = string.match(value, '^(%d+):(%a+)$')
      user.nodes[string.sub(name, 3)] = value
      user.total = user.total + tonumber(count)
      if status == 'online' or not user.status then
        user.status = status
      end
    else
      user[name] = value
    end
  end
  return user
end

local function saw(key, user, seen)
  if tonumber(seen) > tonumber(user.seen or 0) then
    redis.call('HSET', key, 'seen', seen)
  end
end

-- Makes an incarnation responsible for announcing a user offline who has no socket anywhere; returns since when.
local function expect_offline(key, user, users, incarnation, id, unused_seconds)
  local epoch = math.max(tonumber(user.v or 0), now_ms())
  redis.call('HSET', key, 'o', incarnation, 'e', string.format('%.0f', epoch))
  redis.call('SADD', users, id)
  redis.call('EXPIRE', key, unused_seconds)
  redis.call('EXPIRE', users, unused_seconds)
  return epoch
end

-- Makes a status the announced one, and publishes it in the same step. The version is at least the time, so that it
-- rises even after everything stored was lost.
local function announce(key, user, status, payload, publish, channels)
  local version = math.max(tonumber(user.v or 0) + 1, now_ms())
  redis.call('HSET', key, 's', status, 'v', string.format('%.0f', version))
  local message = payload .. struct.pack('>I8', version)
  for _, channel in ipairs(channels) do
    redis.call(publish, channel, message)
  end
end
