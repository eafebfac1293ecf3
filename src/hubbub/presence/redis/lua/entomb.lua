-- Declares an incarnation dead in one bucket: from here on nothing that it sends is taken.
-- KEYS  1 the incarnation's users   2 its tombstone
-- ARGV  1 how long the tombstone stands, ms: longer than anything it has sent may be on the way
-- Gives the users to reap.

redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return redis.call('SMEMBERS', KEYS[1])
