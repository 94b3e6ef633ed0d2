package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

var (
	errLockLost = errors.New("a lock that this gateway holds was lost")
	errNotHeld  = errors.New("the lock is not held")
)

const (
	firstPoll   = 20 * time.Millisecond
	longestPoll = 500 * time.Millisecond
	// longestUnlock bounds Unlock, which a process that ends calls for each lock. A
	// lock that could not be released runs out.
	longestUnlock = 3 * time.Second
	// fenceKept is how long the fence of a lock that nobody takes or renews is kept.
	// A lock whose fence is gone counts as lost.
	fenceKept = 6 * longestLease
)

// heldLock is a lock that was taken and not released yet, maybe lost.
type heldLock struct {
	name, token, fence string
	client             *store.Client
	share              *store.Lease
	lost               atomic.Bool

	stop    context.CancelFunc // of the renewal
	stopped sync.WaitGroup
}

// gate lets one holder at a time of a name through within this storage, so that
// Unlock, which gets only the name, means one lock. It is made for the first and
// removed with the last user.
type gate struct {
	open  chan struct{} // has a token while nobody is through
	users int
}

// Lock implements certmagic.Locker. It waits until the lock is free or ctx ends;
// while the store is away, for as long as the configuration says.
func (s *Storage) Lock(ctx context.Context, name string) error {
	g := s.gateOf(name)
	select {
	case <-g.open:
	case <-ctx.Done():
		s.leave(name, g)
		return counted("lock", fmt.Errorf("locking %q: %w", name, ctx.Err()))
	}
	h, err := s.acquire(ctx, name, true)
	if err != nil {
		g.open <- struct{}{}
		s.leave(name, g)
		return counted("lock", err)
	}
	s.keep(h)
	return nil
}

// TryLock implements certmagic.TryLocker.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	g := s.gateOf(name)
	select {
	case <-g.open:
	default:
		s.leave(name, g)
		return false, nil
	}
	h, err := s.acquire(ctx, name, false)
	if h == nil {
		g.open <- struct{}{}
		s.leave(name, g)
		return false, counted("lock", err)
	}
	s.keep(h)
	return true, nil
}

// Unlock implements certmagic.Locker. That the lock was lost is an error; the
// lock of the next owner is left alone. In any case it is not held afterwards.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.held[name]
	delete(s.held, name)
	g := s.gates[name]
	s.mu.Unlock()
	if h == nil {
		return counted("unlock", fmt.Errorf("unlocking %q: %w", name, errNotHeld))
	}
	h.stop()
	h.stopped.Wait()
	err := s.release(ctx, h)
	g.open <- struct{}{}
	s.leave(name, g)
	return counted("unlock", errors.Join(err, h.share.Release()))
}

// RenewLockLease implements certmagic.LockLeaseRenewer. A held lock is renewed
// anyway, and never for longer than the lease, so that none outlives its owner:
// the duration is not looked at. The error tells a holder that it holds nothing.
func (s *Storage) RenewLockLease(ctx context.Context, name string, _ time.Duration) error {
	s.mu.Lock()
	h := s.held[name]
	s.mu.Unlock()
	if h == nil {
		return counted("renew", fmt.Errorf("renewing %q: %w", name, errNotHeld))
	}
	return counted("renew", s.patiently(ctx, s.wait, "renewing the lock "+strconv.Quote(name), func(ctx context.Context) error {
		return s.renew(ctx, h)
	}))
}

// acquire takes the lock, or returns nil if another has it and it may not wait.
func (s *Storage) acquire(ctx context.Context, name string, wait bool) (*heldLock, error) {
	share, err := s.client.Share()
	if err != nil {
		return nil, fmt.Errorf("locking %q: %w", name, err)
	}
	h := &heldLock{name: name, token: rand.Text(), share: share, client: share.Value()}
	unanswered := false
	for pause := firstPoll; ; pause = min(2*pause, longestPoll) {
		var left time.Duration
		err := s.patiently(ctx, s.wait, "locking "+strconv.Quote(name), func(ctx context.Context) (err error) {
			left, err = s.attempt(ctx, h)
			unanswered = unanswered || err != nil
			return err
		})
		if err == nil && h.fence != "" {
			return h, nil
		}
		if err == nil && wait {
			pause = min(pause, left+time.Millisecond)
			select {
			case <-time.After(pause/2 + mathrand.N(pause)/2 + 1):
				continue
			case <-ctx.Done():
				err = fmt.Errorf("locking %q: %w", name, ctx.Err())
			}
		}
		if unanswered {
			go s.forget(h)
			return nil, err
		}
		return nil, errors.Join(err, share.Release())
	}
}

// attempt asks for the lock once. left is what the lease of another owner has
// left.
func (s *Storage) attempt(ctx context.Context, h *heldLock) (left time.Duration, err error) {
	m, err := h.client.Run(ctx, lockScript, s.lockKeys(h), []string{
		h.token, milliseconds(s.lease), milliseconds(fenceKept), milliseconds(longestLease),
	})
	if err != nil {
		return 0, err
	}
	answer, err := m.ToString()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(answer, 10, 64)
	if err != nil || n < -longestLease.Milliseconds() {
		return 0, errAnswer
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: %q", errLockLost, h.name)
	}
	if n < 0 {
		return time.Duration(-n) * time.Millisecond, nil
	}
	h.fence = answer
	return 0, nil
}

// forget releases a lock of which it is unknown whether it was taken or will be, by
// an attempt that was not answered. It tries for a lease.
func (s *Storage) forget(h *heldLock) {
	s.patiently(context.Background(), s.lease, "", func(ctx context.Context) error {
		_, err := s.unlock(ctx, h)
		return err
	})
	h.share.Release()
}

// keep remembers a lock and renews it until Unlock.
func (s *Storage) keep(h *heldLock) {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	s.mu.Lock()
	s.held[h.name] = h
	s.mu.Unlock()
	h.stopped.Go(func() { s.keepRenewing(ctx, h) })
}

// keepRenewing renews at a third of the lease, so that two attempts may fail, and
// goes on while the store is away: nobody else may have taken the lock meanwhile.
func (s *Storage) keepRenewing(ctx context.Context, h *heldLock) {
	pause := s.lease / 3
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		err := s.renew(ctx, h)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errLockLost):
			counted("renew", err)
			return
		case err != nil:
			counted("renew", err)
			pause = min(s.lease/10, longestRetry)
		default:
			pause = s.lease / 3
		}
	}
}

// renew extends the lease once.
func (s *Storage) renew(ctx context.Context, h *heldLock) error {
	if h.lost.Load() {
		return fmt.Errorf("%w: %q", errLockLost, h.name)
	}
	m, err := h.client.Run(ctx, renewScript, s.lockKeys(h), []string{h.token, milliseconds(s.lease), milliseconds(fenceKept), h.fence})
	if err != nil {
		return err
	}
	if renewed, err := m.AsInt64(); err != nil || renewed == 1 {
		return err
	}
	s.lose(h)
	return fmt.Errorf("%w: %q", errLockLost, h.name)
}

// release gives the lock back, or says that it was lost.
func (s *Storage) release(ctx context.Context, h *heldLock) error {
	lost := h.lost.Load()
	err := s.patiently(ctx, min(s.wait, longestUnlock), "unlocking "+strconv.Quote(h.name), func(ctx context.Context) error {
		had, err := s.unlock(ctx, h)
		lost = lost || err == nil && !had
		return err
	})
	if lost {
		return fmt.Errorf("unlocking %q: %w", h.name, errLockLost)
	}
	return err
}

// unlock releases the lock once. had is whether nobody else had it meanwhile.
func (s *Storage) unlock(ctx context.Context, h *heldLock) (had bool, err error) {
	m, err := h.client.Run(ctx, unlockScript, s.lockKeys(h), []string{h.token, milliseconds(lateness), milliseconds(fenceKept), h.fence})
	if err != nil {
		return false, err
	}
	n, err := m.AsInt64()
	return n == 1, err
}

// lose takes note that a lock was lost. It reports false if it was released
// before.
func (s *Storage) lose(h *heldLock) bool {
	s.mu.Lock()
	current := s.held[h.name]
	s.mu.Unlock()
	if current != h {
		return false
	}
	if !h.lost.Swap(true) {
		s.logger.Error("a lock was lost: nothing is stored until it is released", zap.String("lock", h.name), zap.String("fence", h.fence))
	}
	return true
}

// locks are those that are held, or were lost and not released.
func (s *Storage) locks() []*heldLock {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(make([]*heldLock, 0, len(s.held)), maps.Values(s.held))
}

func (s *Storage) lockKeys(h *heldLock) []string {
	return []string{s.names.lock + h.name, s.names.fence + h.name, s.names.ended + h.token}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// gateOf returns the gate of a name, to be left.
func (s *Storage) gateOf(name string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[name]
	if g == nil {
		g = &gate{open: make(chan struct{}, 1)}
		g.open <- struct{}{}
		s.gates[name] = g
	}
	g.users++
	return g
}

func (s *Storage) leave(name string, g *gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(s.gates, name)
	}
}
