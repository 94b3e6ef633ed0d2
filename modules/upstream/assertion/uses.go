package assertion

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// ErrFull says that no more uses can be remembered.
var ErrFull = errors.New("too many assertions are in use to remember another one")

const (
	useShards = 64
	// maxUses is how many uses are remembered in all, within one or two periods:
	// about 40 MB.
	maxUses = 1 << 20
)

// Uses remembers in memory which assertions were used. It is bounded, and what it
// cannot remember it refuses. It is safe for concurrent use; make one with NewUses.
//
// A use is kept for at least one period and at most two, so that nothing has to be
// searched for what has expired.
type Uses struct {
	seed   maphash.Seed
	period time.Duration
	each   int // of a shard, in one period
	shards [useShards]struct {
		sync.Mutex
		began         time.Time
		now, previous map[uint64]struct{}
	}
}

// NewUses returns an empty memory for uses of which none has to be remembered for
// longer than period.
func NewUses(period time.Duration) *Uses { return newUses(period, maxUses) }

func newUses(period time.Duration, limit int) *Uses {
	return &Uses{seed: maphash.MakeSeed(), period: period, each: max(1, limit/2/useShards)}
}

// Claim reports whether key is used for the first time within ttl. An error says
// that this is not known.
//
// Keys are compared by a seeded hash of 64 bits. Two that collide are taken for one
// use, which is refused; nobody can provoke that.
func (u *Uses) Claim(_ context.Context, key string, ttl time.Duration) (first bool, err error) {
	if ttl > u.period {
		return false, errors.New("the use would have to be remembered for too long")
	}
	hash := maphash.String(u.seed, key)
	s := &u.shards[hash%useShards]
	now := time.Now()
	s.Lock()
	defer s.Unlock()
	switch age := now.Sub(s.began); {
	case age >= 2*u.period:
		s.began, s.now, s.previous = now, make(map[uint64]struct{}), nil
	case age >= u.period:
		s.began, s.now, s.previous = now, make(map[uint64]struct{}), s.now
	}
	if _, used := s.now[hash]; used {
		return false, nil
	}
	if _, used := s.previous[hash]; used {
		return false, nil
	}
	if len(s.now) >= u.each {
		return false, ErrFull
	}
	s.now[hash] = struct{}{}
	return true, nil
}
