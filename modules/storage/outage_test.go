package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
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
	until(t, "the lock that was given up is forgotten", func() bool { return len(keysOf(t, r, s.names.ended)) == 1 })
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
	"restarted with its memory": {
		func(t *testing.T, r *storetest.Server) { r.Command(t, "SAVE"); r.Kill() },
		func(t *testing.T, r *storetest.Server) { r.Launch(t) },
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
		[]string{s.names.values, s.names.names, s.names.writer, s.names.lock + "l", s.names.fence + "l"},
		[]string{"a", milliseconds(s.lease), "1", "0", "1000", "v", late.token, late.name, late.fence})
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

func TestNothingOfLocksStaysForEver(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, patient)
	for i := range 20 { // certmagic names locks after certificates
		name := fmt.Sprintf("ari_certificate-%d", i)
		lock(t, s, name)
		unlock(t, s, name)
	}
	lock(t, s, "held")
	all := keysOf(t, r, "{caddy}:")
	if len(all) < 40 {
		t.Errorf("there are only %q", all)
	}
	for _, key := range all {
		if left, err := strconv.ParseInt(r.Command(t, "PTTL", key), 10, 64); err != nil || left < 0 || left > fenceKept.Milliseconds() {
			t.Errorf("%s stays for %d ms, %v", key, left, err)
		}
	}
	r.Command(t, "PEXPIRE", "{caddy}:fence:held", "5000")
	if err := s.RenewLockLease(t.Context(), "held", 0); err != nil {
		t.Error(err)
	}
	if left, err := strconv.ParseInt(r.Command(t, "PTTL", "{caddy}:fence:held"), 10, 64); err != nil || left < 2*longestLease.Milliseconds() {
		t.Errorf("the fence is not kept with its lock: %d ms, %v", left, err)
	}
	r.Command(t, "DEL", "{caddy}:fence:held")
	if err := s.Unlock(t.Context(), "held"); !errors.Is(err, errLockLost) {
		t.Errorf("whether another had the lock is not known any more: %v", err)
	}
}

// A command may begin late in an operation, and take longer than what is left.
func TestAWaitBoundsAnOperation(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, `"timeout":"290ms","wait":"300ms"`)
	lock(t, s, "l")
	put(t, s, "k", "v")
	s.wait = 100 * time.Millisecond
	r.Pause()
	defer r.Resume()
	failing := map[string]error{
		"unlock": s.Unlock(t.Context(), "l"),
		"store":  s.Store(t.Context(), "k", []byte("v2")),
	}
	_, failing["load"] = s.Load(t.Context(), "k")
	for operation, err := range failing {
		if err == nil || !strings.Contains(err.Error(), "gave up after") || reasonOf(err) != store.ReasonTimeout {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

func TestAScriptThatTheServerForgetsIsSentAgain(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	steps := []func(){
		func() { lock(t, s, "l") },
		func() { put(t, s, "d/v", "1") },
		func() { lists(t, s, "", true, "d", "d/v") },
		func() { lists(t, s, "", false, "d") },
		func() { exists(t, s, "d/v") },
		func() {
			if err := s.RenewLockLease(t.Context(), "l", 0); err != nil {
				t.Error(err)
			}
		},
		func() {
			if err := s.Delete(t.Context(), "d"); err != nil {
				t.Error(err)
			}
		},
		func() { unlock(t, s, "l") },
	}
	for _, step := range steps {
		r.Command(t, "SCRIPT", "FLUSH")
		step()
	}
	absent(t, s, "d")
	free(t, r.Addr, "l")
}

// The address leads to a server that became a replica, and is master again later.
func TestAServerThatTakesNoWrites(t *testing.T) {
	r, elsewhere := newServer(t), storetest.Start(t)
	s := open(t, r.Addr, `"wait":"1s"`)
	lock(t, s, "l")
	put(t, s, "a", "1")
	r.Command(t, "CONFIG", "SET", "replica-serve-stale-data", "yes")
	elsewhere.Kill()
	r.Command(t, "REPLICAOF", "127.0.0.1", elsewhere.Port)
	if err := s.Store(t.Context(), "a", []byte("2")); err == nil || reasonOf(err) != store.ReasonBusy || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("got %v", err)
	}
	patient := open(t, r.Addr, `"wait":"30s"`)
	stored := make(chan error)
	go func() { stored <- patient.Store(t.Context(), "b", []byte("1")) }()
	r.Command(t, "REPLICAOF", "NO", "ONE")
	if err := <-stored; err != nil {
		t.Error(err)
	}
	until(t, "it takes writes", func() bool { return s.Reachable() == nil })
	holds(t, s, "a", "1")
	put(t, s, "a", "3")
	unlock(t, s, "l")
}

func TestLocksAreReleasedAndRenewedWhileTheServerIsOutOfMemory(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr, `"lock_lease":"10m"`)
	for _, name := range []string{"l", "ran out", "renewed"} {
		lock(t, s, name)
	}
	r.Command(t, "DEL", "{caddy}:lock:ran out")
	r.Command(t, "PEXPIRE", "{caddy}:lock:renewed", "60000")
	r.Command(t, "CONFIG", "SET", "maxmemory", "1")
	if err := s.Lock(t.Context(), "another"); err == nil {
		t.Error("the server is not out of memory")
	}
	for _, name := range []string{"ran out", "renewed"} {
		if err := s.RenewLockLease(t.Context(), name, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left := r.Command(t, "PTTL", "{caddy}:lock:"+name); len(left) < len("590000") {
			t.Errorf("%s has %s ms left", name, left)
		}
	}
	unlock(t, s, "l")
	if left := keysOf(t, r, "{caddy}:lock:l"); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	unlock(t, s, "ran out")
	unlock(t, s, "renewed")
}
