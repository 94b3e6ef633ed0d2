package alb

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	cacheEntries = 1024
	// maxCached bounds what an entry may take, the text of the assertion and its
	// claims. Only assertions with a good signature get in.
	maxCached = 24 << 10
)

// cache keeps verified assertions: a user's browser sends the same one until the
// balancer renews it. An entry takes the place of whatever was there; it is good for
// the very assertion, until it expires, while its key is in force.
type cache struct {
	seed    maphash.Seed
	entries [cacheEntries]atomic.Pointer[entry]
}

type entry struct {
	token string
	keys  *Keys
	id    string
	key   *jwt.KeySet
	who   *principal.Principal
	until time.Time
	size  int
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

func (c *cache) place(token string) *atomic.Pointer[entry] {
	return &c.entries[maphash.String(c.seed, token)%cacheEntries]
}

func (c *cache) get(token string, now time.Time) *entry {
	e := c.place(token).Load()
	if e == nil || e.token != token || !now.Before(e.until) || e.keys.current(e.id, now) != e.key {
		return nil
	}
	return e
}

func (c *cache) put(e *entry) {
	if len(e.token)+e.size > maxCached {
		return
	}
	e.token = strings.Clone(e.token)
	c.place(e.token).Store(e)
}
