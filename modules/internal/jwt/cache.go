package jwt

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

const (
	cacheSets = 1024
	cacheWays = 4
	// maxCached is the longest token that is kept. With cacheSets and cacheWays
	// it bounds the memory; only tokens with a valid signature get in.
	maxCached = 4 << 10
)

// cache keeps verified tokens: a table of small sets, indexed by a seeded hash
// of the whole token, whose entries are replaced as a whole. It has no lock and
// no goroutine. The zero value is not usable; make one with newCache.
//
// An entry is good for the very token, in its period of validity, while the
// issuer's key set is the one that verified it. So a withdrawn key takes its
// tokens with it.
type cache struct {
	seed maphash.Seed
	sets [cacheSets][cacheWays]atomic.Pointer[entry]
}

type entry struct {
	token  string
	issuer *issuer
	keys   *KeySet
	result *Token
	period
}

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed()}
}

func (c *cache) set(token string) *[cacheWays]atomic.Pointer[entry] {
	return &c.sets[maphash.String(c.seed, token)%cacheSets]
}

// get returns the good entry of token, or nil.
func (c *cache) get(token string, now time.Time) *entry {
	if len(token) > maxCached {
		return nil
	}
	set := c.set(token)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.token != token {
			continue
		}
		if !e.good(now) {
			return nil
		}
		return e
	}
	return nil
}

// put keeps e in place of the same token, of an entry that is no longer good, or
// of the one that expires first.
func (c *cache) put(e *entry, now time.Time) {
	if len(e.token) > maxCached {
		return
	}
	// The token may be a part of a long cookie header.
	e.token = strings.Clone(e.token)
	set := c.set(e.token)
	victim := &set[0]
	var first time.Time
	for i := range set {
		old := set[i].Load()
		if old == nil || old.token == e.token || !old.good(now) {
			victim = &set[i]
			break
		}
		if first.IsZero() || old.until.Before(first) {
			victim, first = &set[i], old.until
		}
	}
	victim.Store(e)
}

func (e *entry) good(now time.Time) bool {
	keys, err := e.issuer.keys.Keys(now)
	return err == nil && keys == e.keys && e.check(now) == nil
}

// use returns the token, unless it was revoked meanwhile. One that was stays in the
// cache: using it again costs nothing more.
func (e *entry) use(now time.Time) (*Token, error) {
	if err := e.result.facts.judge(e.issuer.revoked, now); err != nil {
		return nil, err
	}
	return e.result, nil
}
