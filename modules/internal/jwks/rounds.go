package jwks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const (
	// missInterval is how long after a fetch that a token caused the next one may be
	// caused by a token, unless the shortest refresh is shorter.
	missInterval = 15 * time.Second
	// maxWait is how long a token may wait for a fetch.
	maxWait = 3 * time.Second
	// maxWaiting is how many tokens may wait for one source at once.
	maxWaiting = 256
)

// Why it is not known whether the issuer has newer keys.
var (
	errTooMany = errors.New("too many tokens wait for the key set already")
	errTooSlow = errors.New("the key set was not fetched in the time that a token may wait")
	errFailing = errors.New("the last fetch of the key set failed")
	errClosed  = errors.New("the key set is not fetched any more")
)

// rounds are the fetches of one source, as those see them who wait for one. Tokens
// cause one per interval; those that are due anyway do not count.
type rounds struct {
	interval time.Duration
	// wake has a value if the next fetch is wanted as soon as it may be.
	wake chan struct{}
	// waiting is how many wait.
	waiting atomic.Int32

	mu sync.Mutex
	// current is the fetch under way, or one that is to begin at once.
	current *round
	// wanted is whether a token asked since the last fetch began.
	wanted bool
	// last is when the last fetch began that a token caused, and caused how many
	// there were.
	last   time.Time
	caused int
	// failing is whether the last fetch failed.
	failing bool
	// changed is closed when other keys come into force.
	changed chan struct{}
}

// round is one fetch. begun and joined, by who came then, are guarded by the rounds;
// err may be read once done is closed.
type round struct {
	begun  bool
	joined bool
	done   chan struct{}
	err    error
}

func newRounds(interval time.Duration) *rounds {
	return &rounds{interval: interval, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

// ask brings the next fetch forward. It returns the one that may be waited for, with
// whether it is under way already and so may bring what was true before, and what is
// closed when there are other keys; or nil while tokens may cause none, with an error
// if the last one failed.
func (r *rounds) ask(now time.Time) (fetch *round, begun bool, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.joined = r.current.joined || r.current.begun
		return r.current, r.current.begun, r.changed, nil
	}
	r.want()
	switch {
	case r.permitted(now):
		r.current = &round{done: make(chan struct{})}
		return r.current, false, r.changed, nil
	case r.failing:
		return nil, false, nil, errFailing
	}
	return nil, false, nil, nil
}

// want has the next fetch come as soon as it may. The lock is held.
func (r *rounds) want() {
	r.wanted = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *rounds) permitted(now time.Time) bool {
	return r.last.IsZero() || now.Sub(r.last) >= r.interval
}

// until returns how long tokens may cause no fetch.
func (r *rounds) until(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.permitted(now) {
		return 0
	}
	return r.last.Add(r.interval).Sub(now)
}

// begin takes note of a fetch that begins now. All who asked so far are served by it.
// It returns whether they caused it, or the last one failed.
func (r *rounds) begin(now time.Time) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	caused := r.wanted && r.permitted(now)
	if caused {
		r.last = now
		r.caused++
	}
	r.wanted = false
	select {
	case <-r.wake:
	default:
	}
	if r.current == nil {
		r.current = &round{done: make(chan struct{})}
	}
	r.current.begun = true
	return caused || r.failing
}

// end takes note of how the fetch ended.
func (r *rounds) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.err = err
	close(r.current.done)
	if err != nil && r.current.joined {
		r.want() // who joined it is not served
	}
	r.current = nil
	r.failing = err != nil
}

// replaced says that other keys are in force.
func (r *rounds) replaced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Missed implements jwt.KeySource. Who asks waits for the fetch that is under way,
// and for one that begins because of it if that brings nothing. While tokens may cause
// none, nobody waits: the next one is brought forward.
func (s *Source) Missed(ctx context.Context, seen *jwt.KeySet) (*jwt.KeySet, error) {
	if keys := s.other(seen); keys != nil {
		return keys, nil
	}
	s.Start()
	err := s.look(ctx, seen)
	if keys := s.other(seen); keys != nil { // also if one came too late, or meanwhile
		return keys, nil
	}
	return nil, err
}

// look waits until there are other keys than seen, or it is known that there are
// none, or returns why it is not.
func (s *Source) look(ctx context.Context, seen *jwt.KeySet) error {
	fetch, begun, changed, err := s.rounds.ask(time.Now())
	if fetch == nil {
		return err
	}
	defer s.rounds.waiting.Add(-1)
	if s.rounds.waiting.Add(1) > maxWaiting {
		return errTooMany
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	for {
		err = s.await(ctx, fetch, changed, timer)
		if err != nil || !begun || s.other(seen) != nil {
			return err
		}
		// What was under way may have been answered before the issuer had the key.
		if fetch, begun, changed, err = s.rounds.ask(time.Now()); fetch == nil {
			return err
		}
	}
}

// await returns when the fetch has ended or there are other keys, and how it ended.
func (s *Source) await(ctx context.Context, fetch *round, changed <-chan struct{}, timer *time.Timer) error {
	select {
	case <-fetch.done:
		return fetch.err
	case <-changed:
		return nil
	case <-timer.C:
		return errTooSlow
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return errClosed
	}
}

// other returns the keys in force, if they are others than seen.
func (s *Source) other(seen *jwt.KeySet) *jwt.KeySet {
	f := s.current.Load()
	if f == nil || f.keys == seen || time.Since(f.at) > s.config.MaxStale {
		return nil
	}
	return f.keys
}
