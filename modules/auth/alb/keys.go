package alb

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	// maxKeys is how many ids are remembered. A region has a few keys in use.
	maxKeys = 128
	// maxFetches is how many fetches there are at one time, and maxWaiting how many
	// requests wait for them, each for at most maxWait.
	maxFetches = 8
	maxWaiting = 256
	maxWait    = 3 * time.Second

	// fetchBurst fetches may follow each other at once, then one in fetchInterval.
	fetchBurst    = 32
	fetchInterval = time.Second

	// A key is looked at again after refreshAfter, is used for maxStale if that fails,
	// and one that the server does not have is not asked for again for missingFor.
	refreshAfter = 24 * time.Hour
	maxStale     = 7 * 24 * time.Hour
	missingFor   = time.Minute
	retryKnown   = time.Minute
	retryUnknown = 2 * time.Second
)

// A Getter fetches a URL.
type Getter func(ctx context.Context, url string) (status int, body []byte, err error)

// Keys are the public keys of balancers by their ids, from one server. They are safe
// for concurrent use. Make them with NewKeys, and Close them.
type Keys struct {
	prefix string
	get    Getter

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.RWMutex
	closed   bool
	records  map[string]*record
	fetching int
	waiting  int
	// next is when the fetches so far would be over at one in fetchInterval.
	next time.Time
}

// record is what is known about one id.
type record struct {
	key     *jwt.KeySet
	at      time.Time     // when the server last had the key
	tried   time.Time     // when it was last asked
	missing bool          // it said that it has no such key
	done    chan struct{} // open while it is being asked
}

// NewKeys returns keys whose URLs are prefix and their id.
func NewKeys(prefix string, get Getter) *Keys {
	k := &Keys{prefix: prefix, get: get, records: make(map[string]*record)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	fetches.begin(prefix)
	return k
}

// Close ends the fetches in progress and waits for them.
func (k *Keys) Close() error {
	k.mu.Lock()
	first := !k.closed
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.done.Wait()
	if first {
		fetches.end(k.prefix)
	}
	return nil
}

// current returns the key if it is known and in force, and asks nobody.
func (k *Keys) current(id string, now time.Time) *jwt.KeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	r := k.records[id]
	if r == nil || !r.good(now) {
		return nil
	}
	return r.key
}

// Get returns the key with this id, which the caller has checked. The first time it
// waits for the server.
func (k *Keys) Get(ctx context.Context, id string, now time.Time) (*jwt.KeySet, error) {
	k.mu.Lock()
	r := k.records[id]
	if r == nil {
		r = k.remember(id)
	}
	if r == nil {
		k.mu.Unlock()
		return nil, ErrUnavailable
	}
	if r.due(now) && k.allowed(now) {
		k.start(id, r)
	}
	done := r.done
	key, err := r.result(now)
	if key != nil || done == nil || k.waiting >= maxWaiting {
		k.mu.Unlock()
		return key, err
	}
	k.waiting++
	k.mu.Unlock()

	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	return r.result(now)
}

func (r *record) good(now time.Time) bool { return r.key != nil && now.Sub(r.at) <= maxStale }

// result is what is known at the moment.
func (r *record) result(now time.Time) (*jwt.KeySet, error) {
	switch {
	case r.good(now):
		return r.key, nil
	case r.missing && r.done == nil && now.Sub(r.tried) <= missingFor:
		return nil, ErrKey
	}
	return nil, ErrUnavailable
}

// due reports whether the server has to be asked.
func (r *record) due(now time.Time) bool {
	since := now.Sub(r.tried)
	switch {
	case r.done != nil:
		return false
	case r.missing:
		return since > missingFor
	case r.good(now):
		return now.Sub(r.at) > refreshAfter && since > retryKnown
	}
	return since > retryUnknown
}

// allowed reports whether one more fetch may begin, and takes it.
func (k *Keys) allowed(now time.Time) bool {
	if k.closed || k.fetching >= maxFetches || k.next.Sub(now) > (fetchBurst-1)*fetchInterval {
		return false
	}
	if k.next.Before(now) {
		k.next = now
	}
	k.next = k.next.Add(fetchInterval)
	return true
}

// remember makes room for a record: in place of one without a key, or the key that
// was seen longest ago. nil says that all of them are being fetched.
func (k *Keys) remember(id string) *record {
	if len(k.records) >= maxKeys {
		var victim string
		var old *record
		for other, r := range k.records {
			if r.done == nil && (old == nil || r.before(old)) {
				victim, old = other, r
			}
		}
		if old == nil {
			return nil
		}
		delete(k.records, victim)
	}
	r := new(record)
	k.records[id] = r
	return r
}

// before reports whether r goes before other does.
func (r *record) before(other *record) bool {
	if (r.key == nil) != (other.key == nil) {
		return r.key == nil
	}
	if r.key == nil {
		return r.tried.Before(other.tried)
	}
	return r.at.Before(other.at)
}

// start asks the server for a key.
func (k *Keys) start(id string, r *record) {
	r.done = make(chan struct{})
	k.fetching++
	k.done.Go(func() {
		key, missing, err := k.fetch(id)
		now := time.Now()
		k.mu.Lock()
		defer k.mu.Unlock()
		k.fetching--
		r.tried = now
		close(r.done)
		r.done = nil
		switch {
		case missing:
			// Also if there was one: it was withdrawn.
			r.key, r.missing = nil, true
		case err == nil:
			r.missing, r.at = false, now
			if !r.key.IsFrom(key) {
				r.key, _ = parseKey(key)
			}
		default:
			r.missing = false // nobody knows any more
		}
		fetches.count(k.prefix, missing, err)
	})
}

// fetch asks the server once. The key is one that parseKey accepts.
func (k *Keys) fetch(id string) (key []byte, missing bool, err error) {
	status, body, err := k.get(k.ctx, k.prefix+id)
	switch {
	case err != nil:
		return nil, false, err
	case status == http.StatusNotFound, status == http.StatusForbidden, status == http.StatusGone:
		// S3, from which these servers are made, says 403 of what is not there.
		return nil, true, nil
	case status != http.StatusOK:
		return nil, false, ErrUnavailable
	}
	if _, err := parseKey(body); err != nil {
		return nil, false, err
	}
	return body, false, nil
}

// parseKey reads a key file: exactly one key, on P-256.
func parseKey(body []byte) (*jwt.KeySet, error) {
	set, err := jwt.ParsePEM(body)
	if err != nil {
		return nil, err
	}
	if set.Len() != 1 || !set.Serves([]string{"ES256"}) {
		return nil, ErrUnavailable
	}
	return set, nil
}
