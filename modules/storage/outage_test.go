package storage

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/store"
	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// patient is for storages that have to get through in the end.
const patient = `"wait":"30s","lock_lease":"1s"`

func TestAStoreThatIsAwayAtTheStart(t *testing.T) {
	r := newServer(t)
	r.Kill()
	s := open(t, r.Addr)
	if err := s.Reachable(); err == nil {
		t.Error("it is reachable")
	}
	failing := map[string]error{
		"store":  s.Store(t.Context(), "site/key", []byte("v")),
		"delete": s.Delete(t.Context(), "site/key"),
		"lock":   s.Lock(t.Context(), "site/key"),
	}
	_, failing["load"] = s.Load(t.Context(), "site/key")
	_, failing["stat"] = s.Stat(t.Context(), "site/key")
	_, failing["list"] = s.List(t.Context(), "site/key", true)
	for operation, err := range failing {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", operation, err)
			continue
		}
		for _, word := range []string{"site/key", r.Addr, "gave up after"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error lacks %s: %v", operation, word, err)
			}
		}
		if failures(t, operation, store.ReasonAway) == 0 {
			t.Errorf("%s is not counted", operation)
		}
	}
	if s.Exists(t.Context(), "site/key") {
		t.Error("it exists")
	}
	waiting := open(t, r.Addr, patient)
	stored := make(chan error)
	go func() { stored <- waiting.Store(t.Context(), "site/key", []byte("v")) }()
	r.Launch(t)
	if err := <-stored; err != nil {
		t.Errorf("it was not waited for: %v", err)
	}
	until(t, "it is reachable", func() bool { return s.Reachable() == nil })
	if got, err := s.Load(t.Context(), "site/key"); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
}

// outages take a server away and bring it back.
var outages = map[string]struct {
	away, back func(t *testing.T, r *storetest.Server)
	forgets    bool
}{
	"stopped": {
		func(_ *testing.T, r *storetest.Server) { r.Pause() },
		func(_ *testing.T, r *storetest.Server) { r.Resume() },
		false,
	},
	"killed": {
		func(_ *testing.T, r *storetest.Server) { r.Kill() },
		func(t *testing.T, r *storetest.Server) { r.Launch(t) },
		true,
	},
}

func TestAStoreThatGoesAwayWhileServing(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			r := newServer(t)
			ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer cancel()
			s, err := provisionIn(ctx, r.Addr)
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, "a", "1")
			outage.away(t, r)
			if _, err := s.Load(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "gave up") {
				t.Errorf("got %v", err)
			}
			until(t, "it is noticed", func() bool { return s.Reachable() != nil })
			soon, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer stop()
			if err := s.Store(soon, "a", []byte("2")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the context is not honoured: %v", err)
			}
			outage.back(t, r)
			until(t, "it is back, without being asked", func() bool { return s.Reachable() == nil })
			if !outage.forgets {
				if got, err := s.Load(t.Context(), "a"); err != nil || len(got) != 1 {
					t.Errorf("got %q, %v", got, err)
				}
			}
			put(t, s, "a", "3")
		})
	}
}

func TestALockOverAnOutage(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			r := newServer(t)
			s, other := open(t, r.Addr, patient), open(t, r.Addr, patient, `"timeout":"300ms"`)
			lock(t, s, "l")
			put(t, s, "a", "1")
			before := failures(t, "renew", store.ReasonAway) + failures(t, "renew", store.ReasonTimeout)
			outage.away(t, r)
			until(t, "renewals fail", func() bool {
				return failures(t, "renew", store.ReasonAway)+failures(t, "renew", store.ReasonTimeout) > before+3
			})
			outage.back(t, r)
			err := s.Store(t.Context(), "a", []byte("2"))
			if outage.forgets {
				// Whether another had the lock meanwhile is not known any more.
				if !errors.Is(err, errLockLost) {
					t.Errorf("storing: %v", err)
				}
				if err := s.Unlock(t.Context(), "l"); !errors.Is(err, errLockLost) {
					t.Errorf("unlocking: %v", err)
				}
			} else {
				if err != nil {
					t.Errorf("storing: %v", err)
				}
				unlock(t, s, "l")
			}
			lock(t, other, "l")
			put(t, other, "a", "3")
			unlock(t, other, "l")
		})
	}
}

func TestUnlockWhileTheStoreIsAwayLeavesTheLockToItsLease(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, `"lock_lease":"1s"`)
	lock(t, s, "l")
	r.Pause()
	if err := s.Unlock(t.Context(), "l"); err == nil || !strings.Contains(err.Error(), "gave up") {
		t.Errorf("got %v", err)
	}
	r.Resume()
	other := open(t, r.Addr, patient)
	lock(t, other, "l")
	unlock(t, other, "l")
}

func TestALockIsReleasedAfterItsConfigurationWasReplaced(t *testing.T) {
	noLeaks(t)
	r := newServer(t)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	s, err := provisionIn(ctx, r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	lock(t, s, "l")
	cancel()
	put(t, s, "a", "what was obtained under the lock")
	unlock(t, s, "l")
	if got := r.Command(t, "EXISTS", "{caddy}:lock:l"); got != "0" {
		t.Error("the lock is still there")
	}
	if err := s.Store(t.Context(), "a", nil); err == nil || failures(t, "store", store.ReasonClosed) == 0 {
		t.Errorf("nobody holds the store open any more: %v", err)
	}
}

func TestWhatArrivesAfterTheReleaseFindsTheLockLost(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	lock(t, s, "l")
	late := s.locks()[0]
	unlock(t, s, "l")
	if s.lose(late) {
		t.Error("a lock that was released counts as lost, and would refuse stores that have nothing to do with it")
	}
	if err := s.renew(t.Context(), late); !errors.Is(err, errLockLost) {
		t.Errorf("a renewal: %v", err)
	}
	m, err := s.client.Run(t.Context(), storeScript,
		[]string{s.names.values, s.names.names, s.names.fences, s.names.lock + "l"},
		[]string{"a", "v", s.leaseArg(), late.token, late.name, late.fence})
	if answer, _ := m.AsStrSlice(); err != nil || answer[0] != "lost" {
		t.Errorf("a store: %q, %v", answer, err)
	}
	if got := r.Command(t, "EXISTS", "{caddy}:lock:l"); got != "0" {
		t.Error("the lock is back without an owner")
	}
}

func TestAnotherAttemptOfTheSameOwnerGetsTheLock(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	lock(t, s, "l")
	h := s.locks()[0]
	again := &heldLock{name: h.name, token: h.token, client: h.client}
	if left, err := s.attempt(t.Context(), again); err != nil || left != 0 || again.fence != h.fence {
		t.Errorf("got the fence %s after %s, %v", again.fence, h.fence, err)
	}
	unlock(t, s, "l")
}

func TestUnrelatedLocksMayComeAndGoDuringStores(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, patient)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 200 {
			lock(t, s, "other")
			unlock(t, s, "other")
		}
	}()
	for {
		select {
		case <-ended:
			return
		default:
			put(t, s, "a", "v")
		}
	}
}

func TestAWrongPasswordIsSaidAndNotShown(t *testing.T) {
	setKeys(t)
	t.Setenv("SALLYPORT_TEST_PASSWORD", "hunter2")
	t.Setenv("REDISCLI_AUTH", "right")
	r := storetest.Start(t, "--requirepass", "right")
	s := open(t, "redis://:{env.SALLYPORT_TEST_PASSWORD}@"+r.Addr)
	_, err := s.Load(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	t.Setenv("SALLYPORT_TEST_PASSWORD", "right")
	until(t, "the corrected password is used", func() bool { return s.Store(t.Context(), "a", nil) == nil })
}
