-- Declares an incarnation dead in one bucket: from now on all its writes are refused.
-- KEYS  1 the incarnation's users   2 its tombstone
-- ARGV  1 how long the tombstone stands, ms: longer than any write of the incarnation may be on its way
-- Returns the users to reap.

redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return redis.call('SMEMBERS', KEYS[1])
