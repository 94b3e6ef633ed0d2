package ratelimiter

// charge is one zone's part of a decision. The caller fills table, limit and
// hash; decide fills the rest.
type charge struct {
	table *table
	limit *limit
	hash  uint64

	// refused says that this zone refuses the request.
	refused bool
	// full says that the zone's table had no room for the key, which shares a
	// bucket with others (see table).
	full bool
	// used is how far the key's TAT lies ahead, this request included if it is
	// admitted: see limit.
	used int64

	time    int64 // the handlers' clock
	now     int64 // the limit's
	shard   *shard
	cell    *int64
	present bool
}

// decide checks all charges and then debits all of them, or none: a request that
// one zone refuses costs nothing in the others. It reports whether the request
// is admitted.
//
// The shards of all charges stay locked from the first check to the last debit,
// so a decision is exact whatever else happens at the same time. To keep two
// decisions from waiting for each other, charges must be in ascending order of
// table.id and have no table twice.
//
// clock returns nanoseconds, never goes back, and is the same for all decisions
// on a table.
func decide(clock func() int64, charges []charge) bool {
	// Read before the locks, now may be older than what others wrote meanwhile.
	// That errs on the strict side: it makes a key look used further ahead.
	now := clock()
	for i := range charges {
		c := &charges[i]
		c.shard = c.table.shard(c.hash)
		c.shard.mu.Lock()
	}
	admitted := true
	for i := range charges {
		c := &charges[i]
		c.check(now, clock)
		if c.refused {
			admitted = false
		}
	}
	for i := range charges {
		c := &charges[i]
		if admitted {
			c.debit(clock)
		}
		c.shard.mu.Unlock()
	}
	return admitted
}

// check finds the key's TAT and whether it admits a request.
func (c *charge) check(now int64, clock func() int64) {
	c.time, c.now = now, c.limit.at(now)
	c.cell, c.present = c.shard.find(c.hash)
	if c.cell != nil && *c.cell > c.now+c.limit.longest {
		c.shorten(clock())
	}
	if c.cell != nil {
		c.used = max(0, *c.cell-c.now)
	}
	c.refused = c.limit.wait(c.used) > 0
	c.full = c.refused && !c.present
}

// shorten handles a TAT that lies further ahead than any limit of the zone lets it:
// a key may have used another tier's, and a set's floor is that of any key's.
// Either now was old:
// then it is right by a fresh clock. Or the zone had a longer window before a
// reload: then the bucket counts as empty, instead of staying shut for what
// may have been a day. That must not be decided by an old clock, which would
// give away what has been used since.
func (c *charge) shorten(fresh int64) {
	c.time, c.now = fresh, c.limit.at(fresh)
	*c.cell = min(*c.cell, c.now+c.limit.longest)
}

// debit takes one request out of the key's bucket.
func (c *charge) debit(clock func() int64) {
	c.used += c.limit.interval
	if c.present {
		*c.cell = c.now + c.used
		return
	}
	c.full = c.shard.insert(c.hash, c.now+c.used, c.now, c.limit, clock)
}
