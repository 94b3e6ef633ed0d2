package ratelimiter

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ways is how many keys share a set: one cache line of tags, one of times.
	ways = 8
	// shardBits of a hash choose the shard. A shard is what a lock covers and
	// what grows at once, so that no request waits for a table of millions.
	shardBits = 8
	shards    = 1 << shardBits

	minKeys = shards * ways
	maxKeys = 100_000_000
)

// table holds the TATs of a zone's keys. It has no limits of its own: those come
// with each charge, so that a reload that changes a zone's rate, accepted or
// not, leaves the table as it is.
//
// Keys are stored as 64 bits of a hash with a random seed that never leaves the
// process, 17 bytes a key whatever its length. Callers cannot choose keys that
// collide, and two keys that do by chance share a bucket, so nobody gains by it.
//
// A table starts empty and grows while a set of eight has only keys that are in
// use (TAT in the future), up to the limit's sets; then the key of the set with
// the smallest TAT loses its slot, be it the new one. Its TAT does not get lost:
// it becomes the floor of the set, and a key that is not in the set is taken to
// stand there. What the table believes of a key is therefore never less than
// the truth, however many keys a flood brings:
//   - nobody is admitted beyond a limit, and nobody who used a limit up is freed;
//   - memory does not grow;
//   - a caller who is not in a full set shares one bucket with the others who are
//     not. It refuses only while more than eight keys of a set are used up, that
//     is while more than max_keys × rate requests a second come from ever new
//     keys, and for at most one window after.
//
// A table is safe for concurrent use. The zero value is not usable.
type table struct {
	// id orders the tables that one decision locks.
	id     uint64
	shards [shards]shard
}

var lastTable atomic.Uint64

func newTable() *table {
	return &table{id: lastTable.Add(1)}
}

// seed of all hashes of this process. One for all tables, so that a key is
// hashed once for all zones of a request.
var seed = maphash.MakeSeed()

// started is the origin of the clock.
var started = time.Now()

// monotonic is the clock of the handlers, in nanoseconds. It never goes back,
// whatever happens to the time of day.
func monotonic() int64 { return int64(time.Since(started)) }

// shard is one lock and the sets under it, on a cache line of its own.
type shard struct {
	mu     sync.Mutex
	sets   []set
	floors []int64 // one a set: no key that is not in the set has a later TAT
	_      [64 - 8 - 2*24]byte
}

// set is eight slots. A slot whose TAT is not in the future is free: an idle key
// and a key that was never seen are the same.
type set struct {
	tags [ways]uint64
	tats [ways]int64
}

func setsPerShard(keys int) int {
	return (max(keys, minKeys) + minKeys - 1) / minKeys
}

func (t *table) shard(hash uint64) *shard {
	return &t.shards[hash>>(64-shardBits)]
}

// index is the set of a hash among n. It takes the bits below the shard's, and
// grows with the hash: growing splits a set into neighbours.
func index(hash uint64, n int) int {
	hi, _ := bits.Mul64(hash<<shardBits, uint64(n))
	return int(hi)
}

// find returns the cell that holds the TAT of hash: its slot, or, if it has
// none, the floor of its set. It returns nil while the shard is empty.
func (s *shard) find(hash uint64) (cell *int64, present bool) {
	if len(s.sets) == 0 {
		return nil, false
	}
	i := index(hash, len(s.sets))
	set := &s.sets[i]
	for w := range set.tags {
		if set.tags[w] == hash {
			return &set.tats[w], true
		}
	}
	return &s.floors[i], false
}

// insert stores the TAT of a hash that is not present. full says that the set
// had only keys in use and could not grow: one of them, or hash, is now known
// only by the floor.
func (s *shard) insert(hash uint64, tat, now int64, l *limit, clock func() int64) (full bool) {
	if len(s.sets) == 0 || len(s.sets) > l.sets {
		s.resize(min(max(1, len(s.sets)), l.sets), now)
	}
	for !s.place(hash, tat, now) {
		if len(s.sets) >= l.sets {
			s.replace(hash, tat, l.at(clock())+l.longest)
			return true
		}
		s.resize(min(2*len(s.sets), l.sets), now)
	}
	return false
}

// place puts hash into a free slot of its set, if there is one.
func (s *shard) place(hash uint64, tat, now int64) bool {
	set := &s.sets[index(hash, len(s.sets))]
	for w := range set.tats {
		if set.tats[w] <= now {
			set.tags[w], set.tats[w] = hash, tat
			return true
		}
	}
	return false
}

// replace lets the smallest TAT of a full set and of hash become the floor. A key
// that used its limit up has the largest.
//
// No TAT is later than latest, the moment when a bucket that is empty now is full
// again, unless the zone had a longer window before a reload. Such a TAT is worth
// no more than an empty bucket, and must not hold its slot for longer.
func (s *shard) replace(hash uint64, tat, latest int64) {
	i := index(hash, len(s.sets))
	set := &s.sets[i]
	least := 0
	for w := range set.tats {
		set.tats[w] = min(set.tats[w], latest)
		if set.tats[w] < set.tats[least] {
			least = w
		}
	}
	if set.tats[least] < tat {
		tat, set.tats[least] = set.tats[least], tat
		set.tags[least] = hash
	}
	s.floors[i] = max(s.floors[i], tat)
}

// resize gives the shard n sets and moves what is in use. Where a set of the
// new size has less room than the keys it gets, the smallest TATs become its
// floor.
func (s *shard) resize(n int, now int64) {
	old, floors := s.sets, s.floors
	s.sets, s.floors = make([]set, n), make([]int64, n)
	for i, floor := range floors {
		if floor <= now {
			continue
		}
		// Every key of the old set lies in one of these.
		for j := i * n / len(old); j < n && j*len(old) < (i+1)*n; j++ {
			s.floors[j] = max(s.floors[j], floor)
		}
	}
	for i := range old {
		for w, tat := range old[i].tats {
			if tat > now && !s.place(old[i].tags[w], tat, now) {
				s.replace(old[i].tags[w], tat, math.MaxInt64)
			}
		}
	}
}
