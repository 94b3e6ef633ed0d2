package jwt

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	cacheSets = 2048
	cacheWays = 4
	// maxSetBytes is what the entries of one set may take in memory. So all of them
	// take 64 MiB at most, and an entry is never greater than this.
	maxSetBytes = 32 << 10
)

// cache keeps verified tokens: a table of small sets, indexed by a seeded hash
// of the whole token, whose entries are replaced as a whole. Finding one takes no
// lock, and there is no goroutine. The zero value is not usable; make one with
// newCache.
//
// An entry is good for the very token, in its period of validity, while the
// issuer's key set is the one that verified it. So a withdrawn key takes its
// tokens with it. Only tokens with a valid signature get in.
type cache struct {
	seed maphash.Seed
	sets [cacheSets]cacheSet
}

type cacheSet struct {
	mu   sync.Mutex // held while entries are replaced
	ways [cacheWays]atomic.Pointer[entry]
}

type entry struct {
	token  string
	issuer *issuer
	keys   *KeySet
	result Token
	period
	// size is what the claims take in memory, and once it is in the cache all of the
	// entry.
	size int

	who principal.Principal // of the result
}

// sizeEntry is what an entry takes beside its token, its claims and its lists.
const sizeEntry = 480

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed()}
}

func (c *cache) set(token string) *cacheSet {
	return &c.sets[maphash.String(c.seed, token)%cacheSets]
}

// get returns the entry of token, or nil. Its keys are in force; its period and
// revocations are for use to judge: a client that goes on to send its expired token
// costs no signature check each time.
func (c *cache) get(token string, now time.Time) *entry {
	set := c.set(token)
	for i := range set.ways {
		e := set.ways[i].Load()
		if e == nil || e.token != token {
			continue
		}
		if !e.signed(now) {
			return nil
		}
		return e
	}
	return nil
}

// put keeps e in place of the same token, of entries that are no longer good and, as
// long as there is no room, of those that expire first.
func (c *cache) put(e *entry, now time.Time) {
	if e.size = e.whole(); e.size > maxSetBytes {
		return
	}
	// The token may be a part of a long cookie header.
	e.token = strings.Clone(e.token)
	set := c.set(e.token)
	set.mu.Lock()
	defer set.mu.Unlock()
	room, free := maxSetBytes, -1
	for i := range set.ways {
		old := set.ways[i].Load()
		if old != nil && (old.token == e.token || !old.good(now)) {
			set.ways[i].Store(nil)
			old = nil
		}
		if old == nil {
			free = i
			continue
		}
		room -= old.size
	}
	for free < 0 || room < e.size {
		first := set.first()
		room += set.ways[first].Load().size
		set.ways[first].Store(nil)
		free = first
	}
	set.ways[free].Store(e)
}

// whole is what e takes in memory, with its token, claims and lists.
func (e *entry) whole() int {
	size := sizeEntry + e.size + allocated(len(e.token))
	return size + sizeElement*(cap(e.who.Scopes)+cap(e.who.Roles))
}

// first is the way of the entry that expires first. There is one.
func (s *cacheSet) first() int {
	first := -1
	var until time.Time
	for i := range s.ways {
		if e := s.ways[i].Load(); e != nil && (first < 0 || e.until.Before(until)) {
			first, until = i, e.until
		}
	}
	return first
}

// good says that e may be used, but for revocations.
func (e *entry) good(now time.Time) bool { return e.check(now) == nil && e.signed(now) }

// signed says that the keys in force signed the token.
func (e *entry) signed(now time.Time) bool {
	keys, err := e.issuer.keys.Keys(now)
	return err == nil && keys == e.keys
}

// use returns the token, unless it has expired or was revoked meanwhile. One that was
// revoked stays in the cache: using it again costs nothing more.
func (e *entry) use(now time.Time) (*Token, error) {
	if err := e.check(now); err != nil {
		return nil, err
	}
	if err := e.result.facts.judge(e.issuer.revoked, now); err != nil {
		return nil, err
	}
	return &e.result, nil
}
