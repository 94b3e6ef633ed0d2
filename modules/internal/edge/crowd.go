package edge

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

// Crowd counts what clients have open, and lets none have more than Limit. A
// client is an IPv4 address, also within NAT64's well-known prefix (RFC 6052), or
// a /64 of IPv6, which is what one customer gets.
// The zero value has no limit and counts nothing. Its memory is bounded by what
// is open. It is safe for concurrent use once Limit is set.
type Crowd struct {
	// Limit is how many a client may have. Default: 0, no limit.
	Limit int

	shards [16]struct {
		mu   sync.Mutex
		open map[netip.Addr]int
	}
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

var crowdSeed = maphash.MakeSeed()

// Enter counts one more of client and reports true, or reports false if it has
// as many as it may: then do not call Leave.
func (c *Crowd) Enter(client netip.Addr) bool {
	if c.Limit <= 0 {
		return true
	}
	client = network(client)
	shard := &c.shards[maphash.Comparable(crowdSeed, client)%uint64(len(c.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.open[client] >= c.Limit {
		return false
	}
	if shard.open == nil {
		shard.open = make(map[netip.Addr]int)
	}
	shard.open[client]++
	return true
}

// Leave takes back one Enter that reported true.
func (c *Crowd) Leave(client netip.Addr) {
	if c.Limit <= 0 {
		return
	}
	client = network(client)
	shard := &c.shards[maphash.Comparable(crowdSeed, client)%uint64(len(c.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.open[client] > 1 {
		shard.open[client]--
	} else {
		delete(shard.open, client)
	}
}

// network is what a client is counted by.
func network(client netip.Addr) netip.Addr {
	client = client.Unmap().WithZone("")
	if client.Is4() || nat64.Contains(client) {
		return client
	}
	prefix, err := client.Prefix(64)
	if err != nil {
		return client
	}
	return prefix.Addr()
}
