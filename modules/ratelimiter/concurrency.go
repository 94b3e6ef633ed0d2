package ratelimiter

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
)

var reasonConcurrency = decision.NewReason("rate.concurrency", http.StatusTooManyRequests, "Too many requests at a time.")

// Concurrency limits how many requests of a key are under way at a time, WebSockets
// included for as long as they are open. Those of one name, in all sites and in
// rate_limiter and quota together, are one.
type Concurrency struct {
	// Name says which limit this is, as in Zone. Required.
	Name string `json:"name,omitempty"`

	// Key is what is counted apart, as in Zone. Required.
	Key []string `json:"key,omitempty"`

	// Max is how many requests of a key may be under way, 1 to 1000000. Required.
	Max int `json:"max,omitempty"`

	// IPv4Prefix is how many bits of an IPv4 address client_ip tells apart.
	// Default: 32.
	IPv4Prefix int `json:"ipv4_prefix,omitempty"`

	// IPv6Prefix is how many bits of an IPv6 address client_ip tells apart.
	// Default: 64.
	IPv6Prefix int `json:"ipv6_prefix,omitempty"`
}

const maxConcurrency = 1_000_000

// underWays are the requests under way of all Concurrency by name, over reloads.
var underWays = lease.NewPool[*underWay]()

// underWay counts the requests under way of each key. A key has an entry only while
// it has requests, so the memory is bounded by their number. It is safe for
// concurrent use.
type underWay struct {
	shards [shards]struct {
		mu     sync.Mutex
		counts map[uint64]int
		_      [64 - 8 - 8]byte
	}
}

func newUnderWay() *underWay {
	u := new(underWay)
	for i := range u.shards {
		u.shards[i].counts = make(map[uint64]int)
	}
	return u
}

// enter counts a request in, unless limit are under way already and it is not
// forced.
func (u *underWay) enter(hash uint64, limit int, forced bool) (within bool) {
	s := &u.shards[hash>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts[hash]
	if within = n < limit; within || forced {
		s.counts[hash] = n + 1
	}
	return within
}

// leave counts a request out that entered.
func (u *underWay) leave(hash uint64) {
	s := &u.shards[hash>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.counts[hash]; n > 1 {
		s.counts[hash] = n - 1
	} else {
		delete(s.counts, hash)
	}
}

// crowd is a Concurrency, compiled.
type crowd struct {
	underWay *underWay
	max      int
	key      key
	cause    error
}

// entered are the crowds that count a request in, the first n of a guard's.
type entered struct {
	hashes [maxZones]uint64
	n      int
}

// enter counts a request into every crowd, or into none if one is full. forced
// counts it in all the same. full is the first that was, or nil.
func (l *limiter) enter(r *http.Request, req *guard.Request, forced bool) (e entered, full *crowd) {
	for i := range l.crowds {
		c := &l.crowds[i]
		e.hashes[i] = c.key.hash(r, req)
		if !c.underWay.enter(e.hashes[i], c.max, forced) && full == nil {
			full = c
			if !forced {
				l.leave(&e)
				return entered{}, full
			}
		}
		e.n = i + 1
	}
	return e, full
}

func (l *limiter) leave(e *entered) {
	for i := range e.n {
		l.crowds[i].underWay.leave(e.hashes[i])
	}
}

func (c *Concurrency) compile(principals bool) (crowd, error) {
	compiled := crowd{max: c.Max, cause: fmt.Errorf("concurrency %s", c.Name)}
	var errs []error
	if _, err := parseName(c.Name); err != nil {
		errs = append(errs, fmt.Errorf("name %q: %w", c.Name, err))
	}
	var err error
	if compiled.key, err = compileKey(c.Key, c.IPv4Prefix, c.IPv6Prefix, principals); err != nil {
		errs = append(errs, err)
	}
	switch {
	case c.Max == 0:
		errs = append(errs, errors.New("max is missing"))
	case c.Max < 0 || c.Max > maxConcurrency:
		errs = append(errs, fmt.Errorf("max %d is not between 1 and %d", c.Max, maxConcurrency))
	}
	return compiled, errors.Join(errs...)
}

func (c *Concurrency) definition() string {
	return fmt.Sprintf("%s, max %d, ipv4_prefix %d, ipv6_prefix %d", definedKey(c.Key), c.Max,
		orDefault(c.IPv4Prefix, defaultIPv4Prefix), orDefault(c.IPv6Prefix, defaultIPv6Prefix))
}
